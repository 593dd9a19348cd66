// A reader's way to the partitions of Kafka: what its fetch loop has fetched, and what it says of the rest.
import { unlessAborted } from '../../within.js'
import type { Assigned, Ends, Source } from '../assigned-reader.js'
import { type Batch, keyOf, type Position } from '../log.js'
import { unknownTopic } from '../problems.js'
import type { Brokers } from './brokers.js'
import { kafkaErrors } from './error-codes.js'
import { FetchLoop } from './fetch-loop.js'
import { brokerUnavailable } from './problems.js'
import type { TopicMetadata } from './requests/metadata.js'
import { KafkaSeat } from './seat.js'

export interface KafkaSourceOptions {
  /** What its reader hands out at a time; about twice as much is held. */
  readonly maxBytes: number
  /** No broker is to wait until there is something, and the brokers are others', too; else they are its own, and closed with it. */
  readonly isBrief?: boolean
  /** As in `FetchLoopOptions`. */
  readonly metadataIntervalMs?: number
}

const usualIntervalMs = 30_000

export class KafkaSource implements Source<KafkaSeat> {
  readonly check: () => void
  readonly #brokers: Brokers
  readonly #isBrief: boolean
  readonly #loop: FetchLoop
  readonly #listeners = new Set<() => void>()
  readonly #end = new AbortController()
  #seats: ReadonlySet<KafkaSeat> = new Set()

  constructor(
    brokers: Brokers,
    check: () => void,
    { maxBytes, isBrief = false, metadataIntervalMs = usualIntervalMs }: KafkaSourceOptions,
  ) {
    this.#brokers = brokers
    this.#isBrief = isBrief
    this.check = check
    this.#loop = new FetchLoop(brokers, {
      maxBytes,
      isBrief,
      metadataIntervalMs,
      changed: () => {
        for (const listener of [...this.#listeners]) listener()
      },
    })
  }

  /** What was fetched for a partition that goes on from where it is stays of use; nothing has to be asked for it. */
  async find(positions: readonly Position[]): Promise<KafkaSeat[]> {
    const known = new Map([...this.#seats].map((seat) => [keyOf(seat), seat]))
    const kept = positions.map((position) => {
      const seat = known.get(keyOf(position))
      known.delete(keyOf(position))
      return seat?.isAt(position.offset) ? seat : undefined
    })
    const missing = positions.filter((_, i) => kept[i] === undefined)
    // Of brokers that are others', too, the end of this reader ends nothing.
    const topics = await unlessAborted(
      this.#brokers.topics(missing.map(({ topic }) => topic)),
      this.#end.signal,
    )
    const seats = positions.map(
      (position, i) => kept[i] ?? new KafkaSeat(position, topicId(position, topics)),
    )
    this.#seats = new Set(seats)
    this.#loop.read(this.#seats)
    return seats
  }

  ends(one: Assigned<KafkaSeat>): Ends {
    return seatOf(one).ends()
  }

  async read(one: Assigned<KafkaSeat>, maxBytes: number): Promise<Batch> {
    const batch = seatOf(one).take(maxBytes)
    this.#loop.look()
    return batch
  }

  onNews(hasNews: () => boolean, wake: () => void): () => void {
    const listener = (): void => {
      if (!hasNews()) return
      this.#listeners.delete(listener)
      wake()
    }
    this.#listeners.add(listener)
    listener()
    return () => this.#listeners.delete(listener)
  }

  hasMoved({ place }: Assigned<KafkaSeat>): boolean {
    return place.hasNews()
  }

  async close(): Promise<void> {
    this.#end.abort()
    this.#loop.close()
    if (!this.#isBrief) await this.#brokers[Symbol.asyncDispose]()
  }
}

/** What was read and not handed out is read again. */
function seatOf({ place, position, leaderEpoch }: Assigned<KafkaSeat>): KafkaSeat {
  if (place.position !== position) place.restart(position, leaderEpoch)
  return place
}

function topicId(
  { topic, partition }: Position,
  topics: ReadonlyMap<string, TopicMetadata>,
): string {
  const found = topics.get(topic)
  if (found?.partitions[partition] !== undefined) return found.id
  // Its partitions are not told while it has no leaders.
  if (found !== undefined && found.error !== kafkaErrors.NONE) {
    throw brokerUnavailable(new Error(`topic ${topic} has no leader for the moment`))
  }
  throw unknownTopic(topic, partition)
}
