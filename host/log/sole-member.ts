// The membership of a group that has one member, as in a log that serves one process: all partitions, at once.
import { HostError } from '../errors.js'
import type { GroupPeer, JoinOptions, Membership, TopicInfo } from './log.js'
import { unknownTopic } from './problems.js'

/** Resolves when the first assignment was taken. */
export async function joinAlone(
  options: JoinOptions,
  topics: ReadonlyMap<string, TopicInfo>,
): Promise<Membership> {
  const partitions = sharedPartitions(options, topics)
  const epoch = 1
  await options.assigned({ epoch, partitions, kept: [], standbys: [] })
  const { instance, address } = options
  let members: readonly GroupPeer[] = [{ instance, address, partitions, standbys: [] }]
  let left: Promise<void> | undefined
  return {
    members: () => members,
    holds: () => left === undefined,
    [Symbol.asyncDispose]: async () => {
      left ??= options.revoked(epoch).finally(() => {
        members = []
      })
      await left
    },
  }
}

/** Of topics that are read together: partition n of each goes to the same member. */
export function sharedPartitions(
  { group, topics: names, partitions }: Pick<JoinOptions, 'group' | 'topics' | 'partitions'>,
  topics: ReadonlyMap<string, TopicInfo>,
): number[] {
  const counts = names.map((name) => {
    const topic = topics.get(name)
    if (topic === undefined) throw unknownTopic(name)
    return topic.partitions.length
  })
  const count = counts[0] ?? 0
  const other = counts.findIndex((found) => found !== count)
  if (other !== -1) {
    throw new HostError(
      'TOPIC_MISMATCH',
      `group ${group} reads ${names[0]} with ${count} partitions and ` +
        `${names[other]} with ${counts[other]}: topics read together need the same number`,
    )
  }
  if (partitions !== undefined && count !== partitions) {
    throw new HostError(
      'TOPIC_MISMATCH',
      `${names[0]} has ${count} partitions by now, and group ${group} was made for ${partitions}: keys may be in others than before. ` +
        'Restart the host, or save the function again, if it has no table; else reset it',
      { stream: names[0] ?? '' },
    )
  }
  return Array.from({ length: count }, (_, partition) => partition)
}
