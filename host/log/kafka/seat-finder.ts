// Looks up who leads a partition that is to be read, and what has become of one that cannot be read.
import { HostError } from '../../errors.js'
import { keyOf } from '../log.js'
import { outOfRange } from '../problems.js'
import type { Brokers, Leader } from './brokers.js'
import { kafkaErrors } from './error-codes.js'
import { brokerUnavailable, topicReplaced } from './problems.js'
import { listOffsets, offsetAt } from './requests/list-offsets.js'
import { right } from './rights.js'
import type { KafkaSeat } from './seat.js'

/** A broker that starts does not know every topic at once. */
const missingLimitMs = 1_000

export class SeatFinder {
  readonly #brokers: Brokers
  readonly #failed: (seat: KafkaSeat, thrown: unknown) => void

  constructor(brokers: Brokers, failed: (seat: KafkaSeat, thrown: unknown) => void) {
    this.#brokers = brokers
    this.#failed = failed
  }

  /** One after another: the first of a topic asks for all. Returns those that were not found, and may be later. */
  async locate(seats: readonly KafkaSeat[]): Promise<KafkaSeat[]> {
    const left: KafkaSeat[] = []
    const renewed = new Set<string>()
    for (const seat of seats) {
      try {
        const leader = await this.#leader(seat, renewed)
        if (leader.topicId !== seat.topicId) throw topicReplaced(seat)
        if (leader.leaderEpoch < seat.lastEpoch) {
          // Told by a broker that is behind, or that believes to lead still: what it has of the log may be less than was read.
          this.#brokers.forgetTopic(seat.topic)
          throw brokerUnavailable(new Error(`${keyOf(seat)} has a newer leader than is known here`))
        }
        seat.leader = leader
        seat.quietSince = performance.now()
      } catch (thrown) {
        left.push(seat)
        this.#failed(seat, this.#isToWait(seat, thrown) ? brokerUnavailable(thrown) : thrown)
      }
    }
    return left
  }

  /** Others may have heard of a later one than these connections: then it is asked for, once for each topic that is not among `renewed`. */
  async #leader(seat: KafkaSeat, renewed: Set<string>): Promise<Leader> {
    const { topic, partition } = seat
    const known = await this.#brokers.leader(seat)
    const { topicId, leaderEpoch } = known
    if (renewed.has(topic) || !this.#brokers.epochs.hasLater(topicId, partition, leaderEpoch)) {
      return known
    }
    renewed.add(topic)
    this.#brokers.forgetTopic(topic)
    return await this.#brokers.leader(seat)
  }

  /** Of one whose offset the broker refuses. Returns it if it may be readable again. */
  async checkRange(seat: KafkaSeat): Promise<KafkaSeat[]> {
    const offset = seat.next
    try {
      const [oldest, end] = await Promise.all([
        this.#offset(seat, offsetAt.earliest),
        this.#offset(seat, offsetAt.latest),
      ])
      const isWithin = oldest <= offset && offset <= end
      throw isWithin
        ? brokerUnavailable(new Error(`${keyOf(seat)} was cut, or has no leader for the moment`))
        : outOfRange(seat, offset, oldest, end)
    } catch (thrown) {
      if (seat.next === offset) this.#failed(seat, thrown)
    }
    return [seat]
  }

  async #offset(seat: KafkaSeat, time: number): Promise<number> {
    const { topic, partition } = seat
    const asked = [{ topic, partition, time }]
    const [found] = await this.#brokers.askLeaders(asked, listOffsets)
    if (found?.error === kafkaErrors.NONE) return found.offset
    const error = found?.error ?? kafkaErrors.UNKNOWN_SERVER_ERROR
    throw this.#brokers.refused(error, keyOf(seat), [right.topic('Describe', topic)])
  }

  #isToWait(seat: KafkaSeat, thrown: unknown): boolean {
    if (!(thrown instanceof HostError) || thrown.code !== 'UNKNOWN_TOPIC') return false
    this.#brokers.forgetTopic(seat.topic)
    seat.missingSince ??= performance.now()
    return performance.now() - seat.missingSince < missingLimitMs
  }
}
