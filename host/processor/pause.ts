// Pauses that can be cut short, each by itself or all together.
import type { Clock } from './clock.js'

export class Pause {
  readonly #clock: Clock
  readonly #ends = new Set<() => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** False: it was cut short, by `end` or by what `started` is handed. */
  async wait(ms: number, started: (end: () => void) => void = () => {}): Promise<boolean> {
    return await new Promise<boolean>((resolve) => {
      const settle = (isOver: boolean) => {
        this.#ends.delete(end)
        resolve(isOver)
      }
      const callOff = this.#clock.after(ms, () => settle(true))
      const end = () => {
        callOff()
        settle(false)
      }
      this.#ends.add(end)
      started(end)
    })
  }

  end(): void {
    for (const end of [...this.#ends]) end()
  }
}
