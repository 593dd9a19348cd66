// Whether a move may begin, or go on: nothing on the target may be of somebody else's, and nothing may come to be there twice.
import { HostError } from '../errors.js'
import { keyOf, type Position, type TopicInfo } from '../log/log.js'
import { topicMismatch } from '../log/problems.js'
import type { Inventory, SourceTopic } from './inventory.js'
import { type BegunTopic, journalTopic, type MoveNotes, moveGroup } from './journal.js'
import { type ReadingOptions, readStretches } from './stretches.js'

/** Throws MOVE_CONFLICT with everything that is in the way, TOPIC_MISMATCH. Nothing is written. */
export async function checkTarget(
  options: ReadingOptions,
  inventory: Inventory,
  notes: MoveNotes,
  namespace: string,
): Promise<ReadonlyMap<string, TopicInfo>> {
  const { log, patience } = options
  const names = inventory.topics.map(({ name }) => name)
  if (names.includes(journalTopic(namespace))) {
    const message = `${journalTopic(namespace)} is the name under which a move keeps its notes, and the embedded log has a topic of this name`
    throw new HostError('MOVE_CONFLICT', message, { stream: journalTopic(namespace) })
  }
  const found = await patience.ask(() => log.describe([...names, ...notes.topics.keys()]))
  const marks = new Set(
    (await patience.ask(() => log.committed(moveGroup(namespace)))).map((mark) => keyOf(mark)),
  )
  const problems: string[] = []
  for (const topic of inventory.topics) {
    const there = found.get(topic.name)
    const note = notes.topics.get(topic.name)
    if (there === undefined) continue
    checkShape(topic, there)
    if (note !== undefined && note.id !== topic.info.id) {
      problems.push(`${topic.name} was begun with as another one: it was made anew, or reset, here`)
      continue
    }
    // Without a note of it, marks are those of another log.
    const unmarked = there.partitions.filter(
      ({ partition }) => note === undefined || !marks.has(keyOf({ topic: topic.name, partition })),
    )
    if (await hasRecords(options, { ...there, partitions: unmarked })) {
      problems.push(
        note === undefined
          ? `${topic.name} has records that this move has not brought there`
          : `${topic.name} has records, and how far it is copied is not known any more`,
      )
    }
  }
  problems.push(...goneTopics(notes, names, found))
  if (notes.move === undefined) problems.push(...(await usedGroups(options, inventory)))
  if (problems.length > 0) throw inTheWay(problems, notes)
  return found
}

/** What is noted of the topics that are begun with now. */
export const beginnings = (
  topics: readonly SourceTopic[],
  notes: MoveNotes,
  found: ReadonlyMap<string, TopicInfo>,
): BegunTopic[] =>
  topics.flatMap(({ name, info }) => {
    const isThere = found.has(name)
    // One that was deleted since is begun with anew.
    if (isThere && notes.topics.has(name)) return []
    const oldest = info.partitions.map((one) => one.oldest)
    return [{ name, id: info.id, oldest, isMade: !isThere }]
  })

function checkShape(topic: SourceTopic, there: TopicInfo): void {
  const partitions = there.partitions.length
  if (there.kind !== topic.kind || partitions !== topic.partitions) {
    throw topicMismatch(topic, { kind: there.kind, partitions })
  }
}

function goneTopics(
  { topics }: MoveNotes,
  names: readonly string[],
  found: ReadonlyMap<string, TopicInfo>,
): string[] {
  return [...topics.keys()]
    .filter((name) => !names.includes(name) && found.has(name))
    .map((name) => `${name} was begun with, and is no more in the embedded log`)
}

async function usedGroups(
  { log, patience }: ReadingOptions,
  { topics, positions }: Inventory,
): Promise<string[]> {
  const names = new Set(topics.map(({ name }) => name))
  const used: string[] = []
  for (const group of new Set(positions.map((position) => position.group))) {
    const committed: readonly Position[] = await patience.ask(() => log.committed(group))
    if (committed.some(({ topic }) => names.has(topic))) {
      used.push(`the group ${group} has read there already: its function has run on the cluster`)
    }
  }
  return used
}

/** Offsets alone do not tell: what was aborted has some, too. */
async function hasRecords(options: ReadingOptions, topic: TopicInfo): Promise<boolean> {
  const stretches = topic.partitions.map(({ partition, oldest, stableEnd }) => ({
    topic: topic.name,
    partition,
    from: oldest,
    to: stableEnd,
  }))
  const areNone = await readStretches(options, stretches, (batches) =>
    batches.every(({ records }) => records.length === 0),
  )
  return !areNone
}

function inTheWay(problems: readonly string[], { move }: MoveNotes): HostError {
  const list = problems.map((problem) => `\n  - ${problem}`).join('')
  const advice =
    move === undefined
      ? 'delete there what may go, or move under another namespace'
      : 'delete these topics there, and run this command again: they are copied anew'
  return new HostError(
    'MOVE_CONFLICT',
    `nothing was written, for what the cluster has is in the way: ${advice}${list}`,
    { details: { problems } },
  )
}
