// A pause that can be cut short.
import type { Clock } from './clock.js'

export class Pause {
  readonly #clock: Clock
  #end: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** False: it was cut short. One waiter at a time. */
  async wait(ms: number): Promise<boolean> {
    const isOver = await new Promise<boolean>((resolve) => {
      const callOff = this.#clock.after(ms, () => resolve(true))
      this.#end = () => {
        callOff()
        resolve(false)
      }
    })
    this.#end = undefined
    return isOver
  }

  end(): void {
    this.#end?.()
  }
}
