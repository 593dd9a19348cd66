// Takes topics and groups out of the cluster, and waits until nothing is left of them.
import { HostError } from '../../errors.js'
import type { Position, RemoveOptions } from '../log.js'
import { type Brokers, controllerMs } from './brokers.js'
import { kafkaErrors } from './error-codes.js'
import { brokerUnavailable, groupInUse } from './problems.js'
import { deleteTopics } from './requests/delete-topics.js'
import { deleteGroup, listGroups } from './requests/groups.js'
import type { TopicMetadata } from './requests/metadata.js'
import { offsetFetch } from './requests/offset-fetch.js'
import { right } from './rights.js'

/** Groups first, one after another, so that what is left is a group that begins anew. */
export async function removeTopics(
  brokers: Brokers,
  names: readonly string[],
  { groups = [], ids }: RemoveOptions,
): Promise<void> {
  const found = new Map(
    [...(await brokers.topics(names))].filter(([, { id }]) => ids?.includes(id) !== false),
  )
  for (const group of groups) await removeGroup(brokers, group)
  const readers = await groupsIn(brokers, found, await knownGroups(brokers))
  await removeAll(brokers, [...found.values()])
  await brokers.patiently(async () => {
    const [left] = [...(await brokers.topics([...found.keys()])).values()].filter(
      ({ name, id }) => found.get(name)?.id === id,
    )
    if (left !== undefined) throw brokerUnavailable(new Error(`${left.name} is being removed`))
  })
  // By name, and later: one that is committed in a topic that is made anew meanwhile would be forgotten with them.
  await brokers.patiently(async () => {
    const [left] = await groupsIn(brokers, found, readers)
    if (left !== undefined) throw brokerUnavailable(new Error(`positions of ${left} are forgotten`))
  })
  // Who joined in between, not having heard of it, may have committed positions in what stays.
  for (const group of groups) await removeGroup(brokers, group)
}

/** Those that have a position in one of the topics. */
async function groupsIn(
  brokers: Brokers,
  topics: ReadonlyMap<string, unknown>,
  groups: readonly string[],
): Promise<string[]> {
  const within: string[] = []
  if (topics.size === 0) return within
  for (const group of groups) {
    const positions = await positionsOf(brokers, group)
    if (positions.some(({ topic, offset }) => topics.has(topic) && offset >= 0)) within.push(group)
  }
  return within
}

/** None of another's group, of which this host may know and no more. */
async function positionsOf(brokers: Brokers, group: string): Promise<readonly Position[]> {
  try {
    const request = offsetFetch(group, null)
    return (await brokers.askCoordinator('group', group, request)).positions
  } catch (thrown) {
    if (thrown instanceof HostError && thrown.code === 'BROKER_REFUSED') return []
    throw thrown
  }
}

/** Those that this host may know of. */
async function knownGroups(brokers: Brokers): Promise<string[]> {
  return await brokers.patiently(async () => {
    const answers = await brokers.askAll(listGroups())
    for (const { error } of answers) {
      if (error !== kafkaErrors.NONE) throw brokers.refused(error, 'to list groups', [])
    }
    return answers.flatMap(({ groups }) => groups)
  })
}

async function removeGroup(brokers: Brokers, group: string): Promise<void> {
  const isInUse = await brokers.patiently(async () => {
    const { error } = await brokers.askCoordinator('group', group, deleteGroup(group))
    if (error === kafkaErrors.NONE || error === kafkaErrors.GROUP_ID_NOT_FOUND) return false
    if (error === kafkaErrors.NON_EMPTY_GROUP) return true
    throw brokers.refused(error, `to remove the group ${group}`, [right.group('Delete', group)])
  })
  // At once: how long its members are waited for is the caller's to say.
  if (isInUse) throw groupInUse(group)
}

async function removeAll(brokers: Brokers, topics: readonly TopicMetadata[]): Promise<void> {
  const names = new Map(topics.map(({ name, id }) => [id, name]))
  if (names.size === 0) return
  await brokers.patiently(async () => {
    const request = deleteTopics([...names.keys()], controllerMs)
    for (const { id, error, message } of (await brokers.askController(request)).topics) {
      if (error === kafkaErrors.NONE || error === kafkaErrors.UNKNOWN_TOPIC_ID) continue
      const name = names.get(id) ?? id
      const needed = [right.topic('Delete', name)]
      throw brokers.refused(error, `to remove the topic ${name}`, needed, { message })
    }
  })
}
