// A group's committed positions, as far as they are of the topics that there are now.
import type { Position } from '../log.js'
import type { Brokers } from './brokers.js'
import { kafkaErrors } from './error-codes.js'
import {
  type CommittedPosition,
  type CommittedPositions,
  offsetFetch,
} from './requests/offset-fetch.js'
import { right } from './rights.js'

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
    .map(({ topic, partition, offset, leaderEpoch }) => ({
      ...{ topic, partition, offset },
      ...(leaderEpoch < 0 ? {} : { leaderEpoch }),
    }))
}

/** A position that is not told is not one that was never committed. */
export function checkPositions(
  brokers: Brokers,
  group: string,
  { error, positions }: Pick<CommittedPositions, 'error' | 'positions'>,
): readonly CommittedPosition[] {
  const what = `the positions of the group ${group}`
  if (error !== kafkaErrors.NONE) throw brokers.refused(error, what, [right.group('Read', group)])
  const failed = positions.find((one) => one.error !== kafkaErrors.NONE)
  if (failed === undefined) return positions
  throw brokers.refused(failed.error, what, [right.topic('Describe', failed.topic)])
}

/** Of all partitions, once no transaction that moves them is open. */
export async function committedPositions(
  brokers: Brokers,
  group: string,
): Promise<readonly Position[]> {
  const { topics } = await brokers.metadata(null)
  // By name: among all that a group has those are not named of which the very first is being decided.
  const all = topics.flatMap(({ name, partitions }) =>
    partitions.map(({ partition }) => ({ topic: name, partition })),
  )
  const positions = await brokers.patiently(async () => {
    const answer = await brokers.askCoordinator('group', group, offsetFetch(group, all))
    return checkPositions(brokers, group, answer)
  })
  return presentPositions(positions, new Map(topics.map(({ name, id }) => [name, id])))
}
