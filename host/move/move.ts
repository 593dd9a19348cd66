// Moves the embedded log to another one: streams, tables and positions, so that functions go on there as if nothing had happened.
import { HostError } from '../errors.js'
import type { OwnedLog } from '../log/embedded/contents.js'
import { keyOf, type Log, type TopicSpec } from '../log/log.js'
import { beginnings, checkTarget } from './admission.js'
import { copyTopics } from './copy.js'
import { type Inventory, type SourceTopic, takeInventory } from './inventory.js'
import {
  type BegunTopic,
  Journal,
  journalTopic,
  type MoveNotes,
  readNotes,
  type StreamRetention,
  type VerifiedState,
} from './journal.js'
import { checkMembers, type MembersOf } from './members.js'
import { Patience, type PatienceOptions } from './patience.js'
import { movePositions } from './positions.js'
import { retentions } from './retentions.js'
import { offsetsOf, type PartitionScan, type Scans, scanTopic } from './scan.js'
import type { ReadingOptions } from './stretches.js'
import { type Difference, differs, type VerifiedTopic, verifyTopic } from './verify.js'

export type MovePhase = 'asking' | 'reading' | 'copying' | 'verifying' | 'positions' | 'keeping'

export interface MoveEvents {
  /** `total`: the offsets that it will pass. */
  phase(phase: MovePhase, total: number): void
  /** In all, of the phase: offsets that were passed, and records. */
  moved(offsets: number, records: number): void
  verified(topic: VerifiedTopic): void
}

export interface MoveOptions extends PatienceOptions {
  /** Nobody else uses it, and it does not delete or compact anything by itself. */
  readonly source: OwnedLog
  readonly target: Log
  readonly namespace: string
  /** Of streams that were made without a time of their own; −1: for ever. */
  readonly retentionMs: number
  /** How long the target is to keep streams that the move has made there to be kept for ever. */
  keep(streams: readonly StreamRetention[]): Promise<void>
  readonly members: MembersOf
  readonly events: MoveEvents
  /** Partitions that are copied at once. Default 4. */
  readonly lanes?: number
  /** What is read at a time, for each lane. Default 2 MiB. */
  readonly readBytes?: number
  /** For the keys of a table that is compared by key. Default 64 MiB. */
  readonly keyBytes?: number
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

export interface MoveResult {
  /** When an earlier move was done, or all but the streams' time, ISO 8601; this one then had nothing else to do. */
  readonly before: string | undefined
  readonly topics: readonly VerifiedTopic[]
  /** That were committed. */
  readonly positions: number
  /** Streams that are kept for ever: they have unread records older than their time, or the target refuses to be told. */
  readonly forever: readonly StreamRetention[]
}

const mebibyte = 2 ** 20

/**
 * Can be run again after any end: it goes on where it was. Rejects with MOVE_CONFLICT, MOVE_DIFFERS, INPUT_LOST, TOPIC_MISMATCH,
 * FENCED, the signal's reason, and with what the logs say.
 */
export async function moveLog(options: MoveOptions): Promise<MoveResult> {
  const { source, target, namespace, signal, events } = options
  const { readBytes = 2 * mebibyte, lanes = 4, now = Date.now } = options
  const patience = new Patience(options)
  const reading = (log: Log): ReadingOptions => ({ log, readBytes, patience, signal })
  const inventory = await takeInventory(source)
  events.phase('asking', 0)
  const notes = await readNotes(reading(target), namespace)
  const before = doneBefore(inventory, notes, namespace)
  if (before !== undefined) return { before, topics: [], positions: 0, forever: [] }
  await checkMembers(inventory, options.members, patience)
  const verifiedBefore = await stillVerified(target, inventory, notes, patience)
  if (verifiedBefore !== undefined) {
    await using journal = await Journal.open(reading(target), namespace, notes)
    const forever = await finish(journal, verifiedBefore, options, patience)
    return { before: verifiedBefore.at, topics: [], positions: 0, forever }
  }
  const found = await checkTarget(reading(target), inventory, notes, namespace)

  const scans = await scanSource(inventory, options, reading(source), now())
  await using journal = await Journal.open(reading(target), namespace, notes)
  const { topics, fingerprint } = inventory
  const at = notes.move?.at ?? new Date(now()).toISOString()
  const begun = beginnings(topics, notes, found)
  await journal.write({ move: { state: 'begun', at, fingerprint }, topics: begun })
  await patience.ask(() => target.ensure(topics.map(specOf)))

  events.phase(
    'copying',
    topics.reduce((sum, { info }) => sum + offsetsOf(info), 0),
  )
  await copyTopics(topics, { ...options, readBytes, lanes, moved: counter(events) })

  const noted = new Map([...notes.topics, ...begun.map((topic) => [topic.name, topic] as const)])
  const verified = await verify(inventory, scans, noted, options, reading(target))
  events.phase('positions', 0)
  await journal.check()
  // One may have asked whether it may run before this move was noted.
  await checkMembers(inventory, options.members, patience)
  const committed = await movePositions(verified, { ...options, lanes })
  const times = retentions(inventory, scans, noted, options.retentionMs)
  const done: VerifiedState = {
    state: 'verified',
    at: new Date(now()).toISOString(),
    fingerprint,
    ...times,
  }
  // First: what the target deletes once it may would be missed if all were read back again.
  await journal.write({ move: done })
  const forever = await finish(journal, done, options, patience)
  return { before: undefined, topics: verified, positions: committed, forever }
}

/** Of an earlier run that has come so far, if everything is still as it has left it. */
async function stillVerified(
  target: Log,
  { topics, positions, fingerprint }: Inventory,
  { move }: MoveNotes,
  patience: Patience,
): Promise<VerifiedState | undefined> {
  if (move?.state !== 'verified' || move.fingerprint !== fingerprint) return undefined
  const names = topics.map(({ name }) => name)
  const there = await patience.ask(() => target.describe(names))
  if (names.some((name) => !there.has(name))) return undefined
  // Without members a group may have lost them.
  for (const group of new Set(positions.map((one) => one.group))) {
    const committed = new Set((await patience.ask(() => target.committed(group))).map(keyOf))
    const own = positions.filter((one) => one.group === group && there.has(one.topic))
    if (own.some((one) => !committed.has(keyOf(one)))) return undefined
  }
  return move
}

/** The streams that stay for ever. */
async function finish(
  journal: Journal,
  { kept, unread, fingerprint }: VerifiedState,
  options: MoveOptions,
  patience: Patience,
): Promise<readonly StreamRetention[]> {
  const { events, now = Date.now } = options
  events.phase('keeping', 0)
  const forever = (await keep(kept, options, patience)) ? unread : [...unread, ...kept]
  await journal.write({ move: { state: 'done', at: new Date(now()).toISOString(), fingerprint } })
  return forever
}

/** Some brokers have a policy that fails where it is to refuse. */
const notKept: ReadonlySet<string> = new Set(['BROKER_REFUSED', 'BROKER_UNAVAILABLE'])

/** False: the target does not let us. */
async function keep(
  streams: readonly StreamRetention[],
  { keep }: MoveOptions,
  patience: Patience,
): Promise<boolean> {
  if (streams.length === 0) return true
  try {
    await patience.ask(() => keep(streams))
    return true
  } catch (thrown) {
    // All the rest is done: whoever may can do this by hand.
    if (thrown instanceof HostError && notKept.has(thrown.code)) return false
    throw thrown
  }
}

/** When, if nothing has changed since. */
function doneBefore(
  { fingerprint }: Inventory,
  { move }: MoveNotes,
  namespace: string,
): string | undefined {
  if (move?.state !== 'done') return undefined
  if (move.fingerprint === fingerprint) return move.at
  throw new HostError(
    'MOVE_CONFLICT',
    `a log was moved there at ${move.at}, and this one has gone on since, or is another one: nothing was written. What functions have done there since ` +
      `would be mixed with it: move under another namespace, or delete there what was moved, the topic ${journalTopic(namespace)} included`,
  )
}

/** Made to be kept for ever: a log may delete by timestamps, and what is old is not to go before it was read. */
const specOf = ({ name, kind, partitions }: SourceTopic): TopicSpec => ({
  name,
  kind,
  partitions,
  ...(kind === 'stream' ? { retentionMs: -1 } : {}),
})

/** Before anything is written: what cannot be read here is found now. */
async function scanSource(
  { topics, positions }: Inventory,
  { events, retentionMs }: MoveOptions,
  reading: ReadingOptions,
  now: number,
): Promise<Scans> {
  const moved = counter(events)
  events.phase(
    'reading',
    topics.reduce((sum, { info }) => sum + offsetsOf(info), 0),
  )
  const scans = new Map<string, readonly PartitionScan[]>()
  for (const topic of topics) {
    const keptMs = topic.retentionMs ?? retentionMs
    const of = positions.filter((position) => position.topic === topic.name)
    const scan = await scanTopic(topic.info, {
      ...reading,
      kind: topic.kind,
      ...(keptMs < 0 ? {} : { olderThan: now - keptMs }),
      positions: (partition) =>
        new Set(of.filter((one) => one.partition === partition).map(({ offset }) => offset)),
      moved,
    })
    scans.set(topic.name, scan)
  }
  return scans
}

async function verify(
  { topics, positions }: Inventory,
  scans: Scans,
  begun: ReadonlyMap<string, BegunTopic>,
  options: MoveOptions,
  { readBytes, patience }: ReadingOptions,
): Promise<VerifiedTopic[]> {
  const { source, target, events, signal, keyBytes = 64 * mebibyte } = options
  const there = await patience.ask(() => target.describe(topics.map(({ name }) => name)))
  events.phase(
    'verifying',
    [...there.values()].reduce((sum, info) => sum + offsetsOf(info), 0),
  )
  const moved = counter(events)
  const verified: VerifiedTopic[] = []
  const differences: Difference[] = []
  for (const topic of topics) {
    const result = await verifyTopic(
      topic,
      scans.get(topic.name) ?? [],
      positions,
      begun.get(topic.name),
      { source, target, readBytes, keyBytes, patience, signal, moved },
    )
    if ('name' in result) {
      verified.push(result)
      events.verified(result)
    } else differences.push(...result)
  }
  if (differences.length > 0) throw differs(differences)
  return verified
}

/** Adds up what it is told, from 0. */
function counter(events: MoveEvents): (offsets: number, records: number) => void {
  let passed = 0
  let counted = 0
  return (offsets, records) => {
    passed += offsets
    counted += records
    events.moved(passed, counted)
  }
}
