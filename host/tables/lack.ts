// What a host would have to replay of a table, by what lies in its store: a look at the topic as it was described, where recovery asks more.
import type { TableLack, TopicInfo } from '../log/log.js'
import { type RecoveryOptions, reasonInAge, reasonInTopic } from './recovery.js'
import type { PartitionMeta } from './store.js'

/** By partition of the changelog. */
export function lacksOf(
  changelog: TopicInfo,
  stored: (partition: number) => PartitionMeta | undefined,
  options: Pick<RecoveryOptions, 'wallTime' | 'tombstoneRetentionMs'>,
): TableLack[] {
  return changelog.partitions.map((info) => {
    const found = stored(info.partition)
    const all = info.end - info.oldest
    const isUsable =
      found !== undefined &&
      reasonInTopic(found, changelog, info) === undefined &&
      reasonInAge(found, changelog.name, info, options) === undefined
    const behind = isUsable ? info.end - found.changelog.next : undefined
    // One that has applied nothing is no copy.
    return { behind: behind === all && all > 0 ? undefined : behind, all }
  })
}
