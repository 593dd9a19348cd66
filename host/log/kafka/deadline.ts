// A bound on what is tried again and again.
import { setMaxListeners } from 'node:events'
import { brokerUnavailable } from './problems.js'

const pauseMinMs = 2
const pauseMaxMs = 20

export class Deadline {
  readonly #end: number
  readonly #signals: readonly AbortSignal[]
  #pauseMs = pauseMinMs

  /** Also over when one of the signals is aborted. */
  constructor(withinMs: number, signal: AbortSignal, further?: AbortSignal) {
    this.#end = performance.now() + withinMs
    this.#signals = further === undefined ? [signal] : [signal, further]
    // Many may wait under one signal, and each stops listening: they are no leak.
    if (further !== undefined) setMaxListeners(0, further)
  }

  get leftMs(): number {
    const isAborted = this.#signals.some(({ aborted }) => aborted)
    return isAborted ? 0 : Math.max(0, this.#end - performance.now())
  }

  get isOver(): boolean {
    return this.leftMs === 0
  }

  /** Rejects with BROKER_UNAVAILABLE when it is over first; nobody waits for the work then. */
  async bound<T>(work: Promise<T>): Promise<T> {
    let stop: () => void = () => {}
    const end = new Promise<never>((_, reject) => {
      stop = () => reject(brokerUnavailable(new Error('it has not answered in time')))
    })
    const timer = setTimeout(stop, this.leftMs)
    for (const signal of this.#signals) signal.addEventListener('abort', stop)
    try {
      return await Promise.race([work, end])
    } finally {
      clearTimeout(timer)
      for (const signal of this.#signals) signal.removeEventListener('abort', stop)
    }
  }

  /** Between two tries, longer each time; not beyond the end. */
  async pause(): Promise<void> {
    const ms = Math.min(this.#pauseMs, this.leftMs)
    this.#pauseMs = Math.min(this.#pauseMs * 1.5, pauseMaxMs)
    await new Promise((resolve) => setTimeout(resolve, ms))
  }
}
