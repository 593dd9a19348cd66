// Lets time pass in turns of the event loop: no clock, so that a run can be repeated.
import { turn } from '../../turn.js'

export class Turns {
  #pending = 0
  #isStopped = false
  #quiet: (() => void)[] = []

  async pass(turns: number): Promise<void> {
    this.#pending++
    for (let i = 0; i < turns && !this.#isStopped; i++) {
      await turn()
    }
    this.#pending--
    if (this.#pending > 0) return
    const waiting = this.#quiet
    this.#quiet = []
    for (const resolve of waiting) resolve()
  }

  get isQuiet(): boolean {
    return this.#pending === 0
  }

  /** Resolves when nothing passes any more. */
  async quiet(): Promise<void> {
    while (this.#pending > 0) {
      await new Promise<void>((resolve) => this.#quiet.push(resolve))
    }
  }

  /** What passes goes on in its next turn. */
  stop(): void {
    this.#isStopped = true
  }
}
