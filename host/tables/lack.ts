// What a host would have to replay of a table, by what lies in its store: a look at the topic as it was described, where recovery asks more.
import type { TableLack, TopicInfo } from '../log/log.js'
import { type RecoveryOptions, reasonInAge, reasonInTopic } from './recovery.js'
import type { PartitionMeta } from './store.js'

/** By partition of the changelog. */
export function lacksOf(
  changelog: TopicInfo,
  stored: (partition: number) => PartitionMeta | undefined,
  options: Pick<RecoveryOptions, 'wallTime' | 'tombstoneRetentionMs'> & {
    /** Its tasks wait for copies of others' tables, too. */
    readonly hasCopies: boolean
  },
): TableLack[] {
  return changelog.partitions.map((info) => {
    const found = stored(info.partition)
    const all = info.end - info.oldest
    const isUsable =
      found !== undefined &&
      reasonInTopic(found, changelog, info) === undefined &&
      reasonInAge(found, changelog.name, info, options) === undefined
    const behind = isUsable ? info.end - found.changelog.next : undefined
    return {
      // One that has applied nothing is no copy.
      behind: behind === all && all > 0 ? undefined : behind,
      // How much those are is not looked at: never so little that nobody would wait for it.
      all: options.hasCopies ? Number.POSITIVE_INFINITY : all,
    }
  })
}
