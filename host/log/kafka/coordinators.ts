// Questions to the coordinator of a group or of a transaction, asked until something other than "in a moment" is answered.
import type { Brokers, CoordinatorOf } from './brokers.js'
import type { Deadline } from './deadline.js'
import { kafkaErrors } from './error-codes.js'
import { brokerUnavailable, refused } from './problems.js'
import type { KafkaRequest, Response } from './request.js'
import { isUnavailable } from './trouble.js'
import { answerMs } from './write-settings.js'

export interface Coordinated<R extends Response> {
  readonly type: CoordinatorOf
  /** The group, or the transactional id. */
  readonly key: string
  readonly request: KafkaRequest<R>
  /** What it answers; of several, the one that counts. */
  readonly error: (answer: R) => number
  /**
   * Called when the connection has failed under the request, or nothing was answered: it may have been done, or be done later. Throws what
   * is thrown then; returns if it may be asked again.
   */
  readonly lost: (cause: unknown) => void
}

const inAMoment: readonly number[] = [
  kafkaErrors.COORDINATOR_LOAD_IN_PROGRESS,
  kafkaErrors.COORDINATOR_NOT_AVAILABLE,
  kafkaErrors.NOT_COORDINATOR,
  kafkaErrors.CONCURRENT_TRANSACTIONS,
  kafkaErrors.UNSTABLE_OFFSET_COMMIT,
  kafkaErrors.REBALANCE_IN_PROGRESS,
  kafkaErrors.REQUEST_TIMED_OUT,
  kafkaErrors.NETWORK_EXCEPTION,
  kafkaErrors.KAFKA_STORAGE_ERROR,
  kafkaErrors.THROTTLING_QUOTA_EXCEEDED,
  kafkaErrors.UNKNOWN_TOPIC_OR_PARTITION,
]

/** Somebody else is the coordinator, or nobody. */
const movedAway: readonly number[] = [
  kafkaErrors.COORDINATOR_NOT_AVAILABLE,
  kafkaErrors.NOT_COORDINATOR,
]

export class Coordinators {
  readonly #brokers: Brokers
  readonly #requestTimeoutMs: number

  constructor(brokers: Brokers, requestTimeoutMs: number) {
    this.#brokers = brokers
    this.#requestTimeoutMs = requestTimeoutMs
  }

  /** Throws BROKER_UNAVAILABLE when the deadline is over, what `lost` throws, and BROKER_REFUSED by the look-up. */
  async ask<R extends Response>(
    { type, key, request, error, lost }: Coordinated<R>,
    deadline: Deadline,
    unknownTopic: () => Promise<void> = async () => {},
  ): Promise<R> {
    let failure: unknown = brokerUnavailable(
      new Error(`${request.apiName} was not answered in time`),
    )
    for (; !deadline.isOver; await deadline.pause()) {
      const node = await this.#find(type, key, deadline)
      if (node === undefined) continue
      let answer: R
      try {
        const limitMs = this.#requestTimeoutMs + answerMs
        answer = await this.#brokers.askWithin(node, request, deadline.leftMs, limitMs)
      } catch (thrown) {
        if (!isUnavailable(thrown)) throw thrown
        failure = thrown
        lost(thrown)
        continue
      }
      const code = error(answer)
      if (!inAMoment.includes(code)) return answer
      failure = refused(code, `${request.apiName} for ${key}`)
      if (movedAway.includes(code)) this.#brokers.forgetCoordinator(type, key)
      if (code === kafkaErrors.UNKNOWN_TOPIC_OR_PARTITION) await unknownTopic()
    }
    throw failure
  }

  async #find(type: CoordinatorOf, key: string, deadline: Deadline): Promise<number | undefined> {
    try {
      return await deadline.bound(this.#brokers.coordinator(type, key))
    } catch (thrown) {
      if (!isUnavailable(thrown)) throw thrown
      return undefined
    }
  }
}

/** Of several partitions: what is not "not attempted because of another". */
export function worstOf(outcomes: readonly { readonly error: number }[]): number {
  let worst: number = kafkaErrors.NONE
  for (const { error } of outcomes) {
    if (error === kafkaErrors.NONE || error === kafkaErrors.OPERATION_NOT_ATTEMPTED) continue
    if (worst === kafkaErrors.NONE || inAMoment.includes(worst)) worst = error
  }
  return worst
}
