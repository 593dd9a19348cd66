// Lets the functions under test work: in real time as long as user code takes, in virtual time as long as only that is waited for.
import { HostError } from '../errors.js'
import { turn } from '../turn.js'
import type { VirtualClock } from './clock.js'

// Taken now: a test may put timers and a clock of its own in their place.
const { setTimeout: later, performance: real } = globalThis
const realNow = real.now.bind(real)
// On a machine that is busy with other things the time is over before anything was tried.
const leastRounds = 100
const briefly = () => new Promise<void>((resolve) => void later(resolve, 1))

export interface PaceOptions {
  readonly clock: VirtualClock
  /** Of real time: then whoever waits is told what for. */
  readonly timeoutMs: number
  /** Nothing passes any more that takes turns of the event loop. */
  isQuiet(): boolean
  /** Nobody waits for user code. */
  isUserCodeDone(): boolean
}

export class Pace {
  readonly #options: PaceOptions

  constructor(options: PaceOptions) {
    this.#options = options
  }

  get clock(): VirtualClock {
    return this.#options.clock
  }

  /** Until all has come to rest that waits neither for user code nor for time. */
  async breathe(limitMs = this.#options.timeoutMs): Promise<void> {
    const end = realNow() + limitMs
    do await turn()
    while (!this.#options.isQuiet() && realNow() < end)
  }

  /** Rejects with WAIT_TIMEOUT; `waitingFor` says of what it was. */
  async until(
    isDone: () => boolean,
    waitingFor: () => string,
    limitMs = this.#options.timeoutMs,
  ): Promise<void> {
    const { clock, isUserCodeDone } = this.#options
    const end = realNow() + limitMs
    for (let rounds = 1; !isDone(); rounds += 1) {
      await this.breathe(end - realNow())
      if (isDone()) return
      const next = clock.nextAt
      if (!isUserCodeDone() || next === undefined) await briefly()
      else clock.moveTo(next)
      if (realNow() < end || rounds < leastRounds) continue
      const message = `waited ${limitMs} ms in vain: ${waitingFor()} (the option timeoutMs is the limit)`
      throw new HostError('WAIT_TIMEOUT', message)
    }
  }

  /** Until the promise settles, as `until`. */
  async ended(work: Promise<unknown>, waitingFor: () => string, limitMs?: number): Promise<void> {
    let isOver = false
    const end = () => {
      isOver = true
    }
    void work.then(end, end)
    await this.until(() => isOver, waitingFor, limitMs)
    await work
  }

  /** Moves time on, with everything done in between that falls due, and what user code makes of it. */
  async advance(ms: number, waitingFor: () => string): Promise<void> {
    const { clock } = this.#options
    const end = clock.now() + ms
    for (;;) {
      await this.#rest(waitingFor)
      const next = clock.nextAt
      if (next === undefined || next > end) break
      clock.moveTo(next)
    }
    clock.moveTo(end)
    await this.#rest(waitingFor)
  }

  /** Until only time is waited for. */
  async #rest(waitingFor: () => string): Promise<void> {
    const { isUserCodeDone } = this.#options
    do {
      await this.until(isUserCodeDone, waitingFor)
      await this.breathe()
    } while (!isUserCodeDone())
  }
}
