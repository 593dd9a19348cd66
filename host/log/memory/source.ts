// A reader's way to the partitions of the memory log.
import type { Assigned, Ends, Source } from '../assigned-reader.js'
import type { Batch, Position, TopicPartition } from '../log.js'
import { outOfRange, unknownTopic } from '../problems.js'
import type { MemoryPartition } from './partition.js'

export interface MemorySourceParts {
  readonly check: () => void
  readonly find: (topic: string, partition: number) => MemoryPartition | undefined
  readonly delay: () => Promise<void>
  /** Throws when this read was told to fail. */
  readonly attempt: (one: TopicPartition) => void
  /** Functions called at each change. */
  readonly listeners: Set<() => void>
}

export class MemorySource implements Source<MemoryPartition> {
  readonly #parts: MemorySourceParts

  constructor(parts: MemorySourceParts) {
    this.#parts = parts
  }

  check(): void {
    this.#parts.check()
  }

  async find(positions: readonly Position[]): Promise<MemoryPartition[]> {
    return positions.map(({ topic, partition }) => {
      const found = this.#parts.find(topic, partition)
      if (found === undefined) throw unknownTopic(topic, partition)
      return found
    })
  }

  ends(one: Assigned<MemoryPartition>): Ends {
    if (this.#isGone(one)) throw unknownTopic(one.topic, one.partition)
    const ends = one.place.ends()
    if (this.#isCut(one)) throw outOfRange(one, one.position, ends.oldest, ends.end)
    return ends
  }

  async read(one: Assigned<MemoryPartition>, maxBytes: number): Promise<Batch> {
    const { topic, partition, place } = one
    await this.#parts.delay()
    this.#parts.attempt(one)
    // It may have been cut or removed in the meantime: the next call finds that out.
    const { stableEnd } = this.ends(one)
    const { position: from } = one
    if (from >= stableEnd) return { topic, partition, from, records: [], next: from, stableEnd }
    return { topic, partition, from, ...place.read(from, maxBytes), stableEnd }
  }

  onNews(hasNews: () => boolean, wake: () => void): () => void {
    const listener = (): void => {
      if (!hasNews()) return
      this.#parts.listeners.delete(listener)
      wake()
    }
    this.#parts.listeners.add(listener)
    return () => this.#parts.listeners.delete(listener)
  }

  hasMoved(one: Assigned<MemoryPartition>): boolean {
    if (this.#isGone(one) || this.#isCut(one)) return true
    const { oldest, stableEnd, end } = one.place.ends()
    return one.position < stableEnd || one.position < oldest || one.position > end
  }

  /** And written anew, perhaps beyond the position. */
  #isCut({ position, leaderEpoch, place }: Assigned<MemoryPartition>): boolean {
    if (leaderEpoch === undefined || leaderEpoch === place.leaderEpoch) return false
    const ended = place.endOfEpoch(leaderEpoch)
    return ended.leaderEpoch !== leaderEpoch || ended.end < position
  }

  #isGone({ topic, partition, place }: Assigned<MemoryPartition>): boolean {
    return this.#parts.find(topic, partition) !== place
  }
}
