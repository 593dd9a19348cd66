// A group's committed positions, as far as they are of the topics that there are now.
import type { Position } from '../log.js'
import type { Brokers } from './brokers.js'
import { kafkaErrors } from './error-codes.js'
import { refused } from './problems.js'
import { metadata } from './requests/metadata.js'
import { type CommittedPosition, offsetFetch } from './requests/offset-fetch.js'

/**
 * Kafka forgets the positions of a topic that is removed, but some time later. Each is committed with the id of its topic as metadata,
 * so that one of the topic before is not taken for one of the topic that has its name now. Without metadata it is another client's, and
 * counts.
 */
export function presentPositions(
  committed: readonly CommittedPosition[],
  topicIds: ReadonlyMap<string, string>,
): Position[] {
  return committed
    .filter(({ topic, offset, metadata }) => {
      const id = topicIds.get(topic)
      return offset >= 0 && id !== undefined && (!metadata || metadata === id)
    })
    .map(({ topic, partition, offset }) => ({ topic, partition, offset }))
}

/** Of all partitions, once no transaction that moves them is open. */
export async function committedPositions(
  brokers: Brokers,
  group: string,
): Promise<readonly Position[]> {
  const { topics } = await brokers.askAny(metadata(null))
  // By name: among all that a group has those are not named of which the very first is being decided.
  const all = topics.flatMap(({ name, partitions }) =>
    partitions.map(({ partition }) => ({ topic: name, partition })),
  )
  const { positions } = await brokers.patiently(async () => {
    const answer = await brokers.askCoordinator('group', group, offsetFetch(group, all))
    const failed = [answer, ...answer.positions].find(({ error }) => error !== kafkaErrors.NONE)
    if (failed !== undefined) throw refused(failed.error, `the positions of the group ${group}`)
    return answer
  })
  return presentPositions(positions, new Map(topics.map(({ name, id }) => [name, id])))
}
