// Remembers which requests have come, as long as one of them could come again, and no more of them than it has room for.

export interface SeenOptions {
  readonly keptMs: number
  readonly maxRequests?: number
  /** In ms; is never set back. */
  now?(): number
}

export class SeenRequests {
  readonly #keptMs: number
  readonly #maxRequests: number
  readonly #now: () => number
  /** In the order in which they came. */
  readonly #seen = new Map<string, { readonly time: number; readonly until: number }>()
  /** Of those that had to be forgotten early, the last one's time: what is not later may be one of them. */
  #forgotten = Number.NEGATIVE_INFINITY

  constructor({ keptMs, maxRequests = 65_536, now = () => performance.now() }: SeenOptions) {
    this.#keptMs = keptMs
    this.#maxRequests = maxRequests
    this.#now = now
  }

  /** From now on it is not. `time`: when it was sent. */
  isNew(nonce: string, time: number): boolean {
    this.#expire()
    if (time <= this.#forgotten || this.#seen.has(nonce)) return false
    if (this.#seen.size >= this.#maxRequests) this.#forgetSome()
    this.#seen.set(nonce, { time, until: this.#now() + this.#keptMs })
    return time > this.#forgotten
  }

  #expire(): void {
    const now = this.#now()
    for (const [nonce, { until }] of this.#seen) {
      if (until > now) return
      this.#seen.delete(nonce)
    }
  }

  /** A quarter at once, lest each one that comes has to. */
  #forgetSome(): void {
    let left = Math.ceil(this.#maxRequests / 4)
    for (const [nonce, { time }] of this.#seen) {
      this.#seen.delete(nonce)
      this.#forgotten = Math.max(this.#forgotten, time)
      left -= 1
      if (left === 0) return
    }
  }
}
