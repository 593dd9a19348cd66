// Which functions are paused, as the control topic says: kept there, and nowhere else.
import type { Pauses } from '../functions/paused.js'

export class SharedPauses implements Pauses {
  readonly #names = new Set<string>()

  /** Known before any function is started, which waits for it. */
  async read(): Promise<void> {}

  has(name: string): boolean {
    return this.#names.has(name)
  }

  async set(name: string, isPaused: boolean): Promise<void> {
    if (isPaused) this.#names.add(name)
    else this.#names.delete(name)
  }

  /** Others may still have the file, and the word is theirs, too. */
  forget(): void {}

  async write(): Promise<void> {}
}
