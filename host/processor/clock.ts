// Time as tasks see it, so that tests can turn it by hand.
export interface Clock {
  /** Milliseconds, monotonic; for intervals. */
  now(): number
  /** Milliseconds since 1970; for timestamps. */
  wallTime(): number
  /** Calls back once, after `ms`; returns how to call it off. */
  after(ms: number, callback: () => void): () => void
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}

/** A growing pause between tries of the same thing: `baseMs`, doubled each time, at most `maxMs`. */
export const backoffMs = (attempt: number, baseMs: number, maxMs: number): number =>
  Math.min(baseMs * 2 ** Math.min(attempt, 30), maxMs)
