// All cells that are not stopped yet, whoever has them: while the log is closed each of them is held.
import type { HostError } from '../errors.js'
import type { Cell } from './cell.js'

export class Cells {
  readonly #cells = new Set<Cell>()
  /** Why nothing may be started for now; `over` settles when it may. */
  #suspended: { readonly error: HostError; readonly over: Promise<void>; end(): void } | undefined

  /** Settles when something may be started. */
  get over(): Promise<void> | undefined {
    return this.#suspended?.over
  }

  add(cell: Cell): void {
    this.#forgetStopped()
    this.#cells.add(cell)
    if (this.#suspended !== undefined) void cell.releaseLog(this.#suspended.error)
  }

  /** Ends every function's thread; what is saved meanwhile waits, too. Tables are served as they are. */
  async releaseLog(error: HostError): Promise<void> {
    if (this.#suspended === undefined) {
      let end = () => {}
      const over = new Promise<void>((resolve) => {
        end = resolve
      })
      this.#suspended = { error, over, end }
    }
    this.#forgetStopped()
    await Promise.all([...this.#cells].map((cell) => cell.releaseLog(error)))
  }

  /** All goes on. */
  reclaimLog(): void {
    this.#suspended?.end()
    this.#suspended = undefined
    this.#forgetStopped()
    for (const cell of this.#cells) void cell.reclaimLog()
  }

  /** What waits goes on, to find that it is over. */
  stop(): void {
    this.#suspended?.end()
  }

  #forgetStopped(): void {
    for (const cell of this.#cells) if (cell.state === 'stopped') this.#cells.delete(cell)
  }
}
