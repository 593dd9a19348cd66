// A clock that stands still until it is moved: the host's own waits and pauses run on it.
import type { Clock } from '../processor/clock.js'

interface Timer {
  readonly at: number
  readonly callback: () => void
}

export class VirtualClock implements Clock {
  readonly #startTime: number
  #now = 0
  /** In the order in which they are due; of equals the older first. */
  readonly #timers: Timer[] = []

  /** `startTime` in ms since 1970. */
  constructor(startTime: number) {
    this.#startTime = startTime
  }

  now(): number {
    return this.#now
  }

  wallTime(): number {
    return this.#startTime + this.#now
  }

  /** Without end: `Infinity`. */
  after(ms: number, callback: () => void): () => void {
    if (ms === Number.POSITIVE_INFINITY) return () => {}
    const timer: Timer = { at: this.#now + ms, callback }
    const index = this.#timers.findIndex(({ at }) => at > timer.at)
    this.#timers.splice(index === -1 ? this.#timers.length : index, 0, timer)
    return () => {
      const found = this.#timers.indexOf(timer)
      if (found !== -1) this.#timers.splice(found, 1)
    }
  }

  /** When the next timer is due; undefined: none is set. */
  get nextAt(): number | undefined {
    return this.#timers[0]?.at
  }

  /** Calls back what is due until then. */
  moveTo(time: number): void {
    for (
      let next = this.#timers[0];
      next !== undefined && next.at <= time;
      next = this.#timers[0]
    ) {
      this.#timers.shift()
      this.#now = Math.max(this.#now, next.at)
      next.callback()
    }
    this.#now = Math.max(this.#now, time)
  }
}
