// Whether the cluster answers: asked again and again, for who wants to know how the host is.
import { setTimeout as pause } from 'node:timers/promises'
import { asHostError, type HostError } from '../../errors.js'
import type { Logger } from '../../logger.js'
import { Brokers } from './brokers.js'
import { Deadline } from './deadline.js'
import { Seeds } from './seeds.js'
import { connectionTo, type KafkaSettings } from './settings.js'

const everyMs = 1_000
/** For an answer; a cluster that has not been heard of for so long is said to be away. */
const patienceMs = 3_000
/** For a connection and an answer, of one that is slow; twice as long each time until then. */
const longestMs = 12_000

export class Reach implements AsyncDisposable {
  readonly #settings: KafkaSettings
  readonly #logger: Logger
  readonly #end = new AbortController()
  /** Resolves when it is told so for the first time. */
  readonly away: Promise<void>
  readonly #asking: Promise<void>
  #isAway: () => void = () => {}
  #heardAt = performance.now()
  #problem: HostError | undefined

  constructor(settings: KafkaSettings, logger: Logger) {
    this.#settings = settings
    this.#logger = logger
    this.away = new Promise((resolve) => {
      this.#isAway = resolve
    })
    this.#asking = this.#ask()
  }

  /** Undefined: it answers. */
  get problem(): HostError | undefined {
    return this.#problem
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort()
    await this.#asking
  }

  /** Never rejects. */
  async #ask(): Promise<void> {
    const { signal } = this.#end
    let brokers: Brokers | undefined
    const seeds = new Seeds(this.#settings.brokers)
    let withinMs = patienceMs
    while (!signal.aborted) {
      // Anew after a failure: kafkajs keeps a connection on which nothing is answered.
      brokers ??= new Brokers(connectionTo(this.#settings, seeds), this.#settings, seeds)
      try {
        await new Deadline(withinMs, signal).bound(brokers.metadataOnce([]))
        this.#heard()
        withinMs = patienceMs
      } catch (thrown) {
        if (!signal.aborted) this.#failed(asHostError(thrown, 'BROKER_UNAVAILABLE'))
        void brokers[Symbol.asyncDispose]().catch(() => {})
        brokers = undefined
        withinMs = Math.min(withinMs * 2, longestMs)
      }
      await pause(everyMs, undefined, { signal }).catch(() => {})
    }
    await brokers?.[Symbol.asyncDispose]()
  }

  #heard(): void {
    const now = performance.now()
    if (this.#problem !== undefined) {
      const afterMs = Math.round(now - this.#heardAt)
      this.#logger.info('Kafka answers again: functions go on', { afterMs })
    }
    this.#heardAt = now
    this.#problem = undefined
  }

  #failed(error: HostError): void {
    const isKnown = this.#problem !== undefined
    const isAway = performance.now() - this.#heardAt >= patienceMs
    if (error.retryable && !isAway && !isKnown) return
    this.#problem = error
    if (isKnown) return
    this.#isAway()
    this.#logger.error(
      `${error.message}; until then emits are refused after a while, and functions wait (${this.#settings.brokers.join(', ')})`,
      { code: error.code },
    )
  }
}
