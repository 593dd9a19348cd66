// A group's committed positions, as far as they are of the topics that there are now.
import type { Position } from '../log.js'
import type { Brokers } from './brokers.js'
import { kafkaErrors } from './error-codes.js'
import { refused } from './problems.js'
import { offsetFetch } from './requests/offset-fetch.js'

/**
 * Kafka forgets the positions of a topic that is removed, some time later. Each is committed with the id of its topic as metadata, so
 * that one of the topic before is told from one of the topic that has its name now; without metadata it is another client's, and counts.
 */
export async function committedPositions(
  brokers: Brokers,
  group: string,
): Promise<readonly Position[]> {
  const { positions } = await brokers.patiently(async () => {
    const answer = await brokers.askCoordinator('group', group, offsetFetch(group, null))
    const failed = [answer, ...answer.positions].find(({ error }) => error !== kafkaErrors.NONE)
    if (failed !== undefined) throw refused(failed.error, `the positions of the group ${group}`)
    return answer
  })
  const topics = await brokers.topics(positions.map(({ topic }) => topic))
  return positions
    .filter(({ topic, offset, metadata }) => {
      const now = topics.get(topic)
      return offset >= 0 && now !== undefined && (!metadata || metadata === now.id)
    })
    .map(({ topic, partition, offset }) => ({ topic, partition, offset }))
}
