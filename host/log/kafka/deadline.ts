// A bound on what is tried again and again.
import { brokerUnavailable } from './problems.js'

const pauseMinMs = 2
const pauseMaxMs = 20

export class Deadline {
  readonly #end: number
  readonly #signal: AbortSignal
  #pauseMs = pauseMinMs

  /** Also over when the signal is aborted. */
  constructor(withinMs: number, signal: AbortSignal) {
    this.#end = performance.now() + withinMs
    this.#signal = signal
  }

  get leftMs(): number {
    return this.#signal.aborted ? 0 : Math.max(0, this.#end - performance.now())
  }

  get isOver(): boolean {
    return this.leftMs === 0
  }

  /** Rejects with BROKER_UNAVAILABLE when it is over first; nobody waits for the work then. */
  async bound<T>(work: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    let over: (() => void) | undefined
    const end = new Promise<never>((_, reject) => {
      over = () => reject(brokerUnavailable(new Error('it has not answered in time')))
      timer = setTimeout(over, this.leftMs)
      this.#signal.addEventListener('abort', over)
    })
    try {
      return await Promise.race([work, end])
    } finally {
      clearTimeout(timer)
      if (over !== undefined) this.#signal.removeEventListener('abort', over)
    }
  }

  /** Between two tries, longer each time; not beyond the end. */
  async pause(): Promise<void> {
    const ms = Math.min(this.#pauseMs, this.leftMs)
    this.#pauseMs = Math.min(this.#pauseMs * 1.5, pauseMaxMs)
    await new Promise((resolve) => setTimeout(resolve, ms))
  }
}
