// Whether those who lead what is read lead it still: one who does not, and has not heard so, goes on answering, with nothing.
import { HostError } from '../../errors.js'
import type { Brokers } from './brokers.js'
import type { KafkaSeat } from './seat.js'

export interface LeaderWatchOptions {
  /** A partition that gives nothing for so long is looked up anew. */
  readonly intervalMs: number
  /** Some may be without a leader by now: they are to be found again. */
  left(): void
  failed(seat: KafkaSeat, thrown: unknown): void
}

export class LeaderWatch {
  readonly #brokers: Brokers
  readonly #options: LeaderWatchOptions
  /** So many were heard of when it was looked last. */
  #elections = 0
  #isAsking = false

  constructor(brokers: Brokers, options: LeaderWatchOptions) {
    this.#brokers = brokers
    this.#options = options
  }

  /** Before they are asked for; it costs nothing while nothing is heard, and everything is given something. */
  look(seats: ReadonlySet<KafkaSeat>): void {
    this.#heed(seats)
    if (this.#isAsking) return
    const { intervalMs } = this.#options
    const now = performance.now()
    for (const seat of seats) {
      if (!isQuiet(seat, now - intervalMs)) continue
      // Those that are due soon go along.
      const quiet = [...seats].filter((one) => isQuiet(one, now - intervalMs / 2))
      for (const one of quiet) one.quietSince = now
      void this.#ask(quiet)
      return
    }
  }

  /** What any connection of the thread was told. */
  #heed(seats: ReadonlySet<KafkaSeat>): void {
    const { epochs } = this.#brokers
    if (epochs.elections === this.#elections) return
    this.#elections = epochs.elections
    for (const seat of seats) {
      const { topicId, partition, leader } = seat
      if (leader !== undefined && epochs.hasLater(topicId, partition, leader.leaderEpoch)) {
        seat.leader = undefined
      }
    }
  }

  /** They go on being read meanwhile. What keeps it from being asked is told where they are read. */
  async #ask(seats: readonly KafkaSeat[]): Promise<void> {
    this.#isAsking = true
    try {
      const found = await this.#brokers.topicsAnew(seats.map(({ topic }) => topic))
      for (const seat of seats) {
        const topic = found.get(seat.topic)
        const told = topic?.partitions[seat.partition]
        if (topic === undefined || told === undefined || seat.leader === undefined) continue
        const isAnother = topic.id !== seat.topicId || told.leaderEpoch > seat.leader.leaderEpoch
        if (isAnother) seat.leader = undefined
      }
    } catch (thrown) {
      if (!(thrown instanceof HostError)) {
        for (const seat of seats) this.#options.failed(seat, thrown)
      }
    }
    this.#isAsking = false
    this.#options.left()
  }
}

const isQuiet = ({ leader, quietSince }: KafkaSeat, since: number): boolean =>
  leader !== undefined && quietSince <= since
