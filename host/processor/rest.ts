// Pauses that end early when their owner does.
import type { Clock } from './clock.js'

export class Rest {
  readonly #clock: Clock
  readonly #signal: AbortSignal

  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock
    this.#signal = signal
  }

  async wait(ms: number): Promise<void> {
    if (this.#signal.aborted) return
    await new Promise<void>((resolve) => {
      const end = () => {
        callOff()
        this.#signal.removeEventListener('abort', end)
        resolve()
      }
      const callOff = this.#clock.after(ms, end)
      this.#signal.addEventListener('abort', end)
    })
  }
}
