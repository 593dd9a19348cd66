// The leader epochs that were ever told of partitions. A broker that tells of an older one lags behind, or is cut off: whom it names may lead no more.
import { type KnownEpoch, partitionKey } from '../log.js'
import type { TopicMetadata } from './requests/metadata.js'

type Told = Pick<TopicMetadata, 'id' | 'partitions'>

export class LeaderEpochs {
  /** By the id of the topic: one that is made anew begins anew. */
  readonly #known = new Map<string, number>()
  #elections = 0

  /** Rises with each that was heard of: only then another may lead than before. */
  get elections(): number {
    return this.#elections
  }

  /** Whether it is no older than all that was told before. */
  heard(topics: readonly Told[]): boolean {
    let isNew = true
    for (const { id, partitions } of topics) {
      for (const { partition, leaderEpoch } of partitions) {
        // −1: it does not say.
        if (leaderEpoch >= 0 && !this.#heard(id, partition, leaderEpoch)) isNew = false
      }
    }
    return isNew
  }

  /** Whether somebody has led after it. */
  hasLater(topicId: string, partition: number, leaderEpoch: number): boolean {
    const known = this.#known.get(partitionKey(topicId, partition))
    return known !== undefined && known > leaderEpoch
  }

  /** Who was asked as the leader of this epoch knows of a later one. */
  isOver(topicId: string, partition: number, leaderEpoch: number): void {
    this.#heard(topicId, partition, leaderEpoch + 1)
  }

  #heard(topicId: string, partition: number, leaderEpoch: number): boolean {
    const key = partitionKey(topicId, partition)
    const known = this.#known.get(key)
    if (known !== undefined && known > leaderEpoch) return false
    if (known === leaderEpoch) return true
    this.#known.set(key, leaderEpoch)
    if (known !== undefined) this.#elections += 1
    return true
  }
}

/** Whether he who has told this has heard of it. */
export const hasHeardOf = (
  topics: readonly Told[],
  { topicId, partition, leaderEpoch }: KnownEpoch,
): boolean =>
  topics.some(
    ({ id, partitions }) =>
      id === topicId && (partitions[partition]?.leaderEpoch ?? -1) >= leaderEpoch,
  )
