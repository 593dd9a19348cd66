// What the supervisor is told of the functions: should this host die, it has to know of what.
import type { FunctionVitals } from '../supervisor/messages.js'
import type { Cell } from './cell.js'
import type { Supervision } from './quarantine.js'

export class Vitals {
  readonly #tell: Supervision['vitals']
  readonly #cells: () => readonly Cell[]
  /** In the probe. */
  readonly #loading = new Map<string, FunctionVitals>()
  #tried: string | undefined

  constructor(tell: Supervision['vitals'], cells: () => readonly Cell[]) {
    this.#tell = tell
    this.#cells = cells
  }

  tell(): void {
    const running = this.#cells().map((cell) => ({ ...cell.vitals(), isLoading: false }))
    const all = [...running, ...this.#loading.values()]
    const tried = this.#tried
    this.#tell(
      tried === undefined
        ? all
        : all.map((each) => ({
            ...each,
            isBusy: each.name === tried,
            isLoading: each.isLoading && each.name === tried,
          })),
    )
  }

  /** From now on whatever happens is put down to this one; undefined: to who is at work. */
  set tried(name: string | undefined) {
    this.#tried = name
    if (name !== undefined) this.tell()
  }

  loading(name: string, version: string, thread: number): void {
    this.#loading.set(name, { name, version, thread, isBusy: true, isLoading: true })
    // At once: it may be the last that is heard of this host.
    this.tell()
  }

  loaded(name: string): void {
    this.#loading.delete(name)
  }
}
