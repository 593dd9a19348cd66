// Wakes the waiting readers of one thread when the log thread has published something for them.
/// <reference lib="es2024.sharedmemory" />
import type { SharedEnds } from './shared-ends.js'

interface Waiter {
  readonly hasNews: () => boolean
  readonly wake: () => void
}

export class Bell {
  readonly #ends: SharedEnds
  readonly #waiting = new Set<Waiter>()
  #listening = false

  constructor(ends: SharedEnds) {
    this.#ends = ends
  }

  /** Calls `wake` once, when `hasNews` has become true after a ring; the function returned takes it back. */
  onNews(hasNews: () => boolean, wake: () => void): () => void {
    const waiter = { hasNews, wake }
    this.#waiting.add(waiter)
    if (!this.#listening) void this.#listen()
    // The wait that is under way may be older than this waiter's last look.
    else if (this.#isDue(waiter)) this.#release(waiter)
    return () => this.#waiting.delete(waiter)
  }

  async #listen(): Promise<void> {
    this.#listening = true
    while (this.#waiting.size > 0) {
      // Read before the ends are: a ring in between makes the wait return at once.
      const seen = this.#ends.rung()
      for (const waiter of [...this.#waiting]) {
        if (this.#isDue(waiter)) this.#release(waiter)
      }
      if (this.#waiting.size === 0) break
      // Without a time-out: those of waitAsync pile up.
      const rung = Atomics.waitAsync(this.#ends.bell, 0, seen)
      if (rung.async) await rung.value
    }
    this.#listening = false
  }

  #isDue(waiter: Waiter): boolean {
    return this.#ends.state() !== 'open' || waiter.hasNews()
  }

  #release(waiter: Waiter): void {
    if (this.#waiting.delete(waiter)) waiter.wake()
  }
}
