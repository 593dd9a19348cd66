// Opens one partition of a function: fences former owners, recovers the table, and settles where each input goes on.
import { HostError } from '../errors.js'
import { whereCut } from '../log/cut.js'
import { heardOf } from '../log/heard-of.js'
import type { Log, LogReader, LogWriter, Position, TopicInfo } from '../log/log.js'
import { type HeaderPositions, withTopicIds } from '../tables/positions.js'
import { recover, replayReader } from '../tables/recovery.js'
import type { PartitionStore, StoredPosition, TableStore } from '../tables/store.js'
import { settlesWithin, unlessAborted } from '../within.js'
import type { Clock } from './clock.js'
import type { TablePartition } from './flush.js'
import { InputBuffer, positionIn } from './input.js'
import type { InputNotes } from './input-notes.js'
import type { Edges } from './program.js'

export interface OpeningOptions {
  readonly log: Log
  readonly store: TableStore | null
  readonly edges: Edges
  readonly partition: number
  readonly tombstoneRetentionMs: number
  readonly clock: Clock
  /** Ends early when the signal is aborted. */
  rest(ms: number): Promise<void>
  readonly signal: AbortSignal
  readonly onDataLoss: 'halt' | 'continue'
  /** Without a table: in its place. */
  readonly notes: InputNotes
  /** Records of an input are gone, and it goes on with what is there. */
  onSkipped(what: string): void
  onHeldUp(what: string): void
  /** As in `RecoveryOptions`. */
  wiping(): Promise<void>
  onWiped(reason: string): void
  onProgress(applied: number, next: number, end: number): void
  /** The table is at its end: what was replayed for that, and from where. */
  onRecovered(records: number, from: number): void
}

export interface OpenPartition {
  readonly writer: LogWriter
  readonly table: TablePartition | null
  readonly inputs: readonly InputBuffer[]
}

/** A broker that is well answers sooner; well below limits.drainMs, in which all has to be given up. */
const onItsWayMs = 300

export async function openPartition(options: OpeningOptions): Promise<OpenPartition> {
  const { log, edges, partition, store, signal } = options
  await using reader = store === null ? undefined : replayReader(log)
  const names = edges.inputs.map(({ topic }) => topic)
  const all = edges.table === null ? names : [...names, edges.table.topic]
  let described: ReturnType<typeof knownTopics> | undefined
  const describe = () => {
    described ??= knownTopics(options, all)
    // Nobody waits for it if the writer cannot be opened after all.
    described.catch(() => {})
    return described
  }
  const opened = log.openWriter(edges.group, partition, {
    topics: names,
    fenced: () => void describe(),
    signal,
  })
  const writer = await orClosed(opened, signal)
  try {
    // Read after the fence: from then on nobody else moves the positions or the changelog's end.
    const topics = await unlessAborted(describe(), signal)
    const table =
      edges.table === null || store === null || reader === undefined
        ? null
        : await openTable(
            options,
            store.partition(partition),
            need(topics, edges.table.topic, edges),
            reader,
          )
    const inputs = await Promise.all(
      edges.inputs.map(({ stream, topic }) => {
        const info = need(topics, topic, edges)
        return openInput(options, stream, info, writer.positions, table?.found ?? null)
      }),
    )
    if (table === null) {
      const noted = inputs.map(({ topic }) => ({ topic, topicId: need(topics, topic, edges).id }))
      options.notes.set(partition, noted)
      return { writer, table, inputs }
    }
    const stored = withTopicIds(
      inputs.map((input) => positionIn(input, partition)),
      inputs.map(({ topic, position }) => ({
        topic,
        topicId: need(topics, topic, edges).id,
        offset: position,
      })),
    )
    const meta = { ...table.meta, inputs: stored }
    // Before the first record: topic ids are what tells a re-created input later.
    await table.store.write([], meta)
    return { writer, table: { ...table, meta }, inputs }
  } catch (error) {
    await writer[Symbol.asyncDispose]()
    throw error
  }
}

/**
 * Given up, what is on its way to the log is waited for, else it would fence who is to have the partition next; but not for long: that
 * one would open it once more, and what runs here would be given up with it. A writer that comes after all is closed.
 */
async function orClosed(opened: Promise<LogWriter>, signal: AbortSignal): Promise<LogWriter> {
  try {
    return await unlessAborted(opened, signal)
  } catch (error) {
    const closed = opened.then((writer) => writer[Symbol.asyncDispose]()).catch(() => {})
    await settlesWithin(closed, onItsWayMs)
    throw error
  }
}

/** They were made, or were there, before the partition was assigned. */
async function knownTopics(
  { log, clock, rest, signal, partition }: OpeningOptions,
  names: readonly string[],
): Promise<ReadonlyMap<string, TopicInfo>> {
  const describe = async (asked: readonly string[]) => {
    signal.throwIfAborted()
    return await log.describe(asked, { endsOf: [partition] })
  }
  return await heardOf(names, describe, { now: () => clock.now(), rest })
}

interface OpenTable extends TablePartition {
  readonly found: FoundPositions
}

/** What is known of the input positions besides the committed ones. */
interface FoundPositions {
  /** By the table as it was found, or as the replay has left it. */
  readonly stored: readonly StoredPosition[]
  readonly header: HeaderPositions | undefined
  readonly isEmpty: boolean
}

async function openTable(
  options: OpeningOptions,
  store: PartitionStore,
  changelog: TopicInfo,
  reader: LogReader,
): Promise<OpenTable> {
  const local = store.meta()?.inputs ?? []
  const { log, partition, tombstoneRetentionMs, clock, signal, onHeldUp, onWiped } = options
  const { meta, headerPositions, applied, from, leaderEpoch } = await recover({
    log,
    reader,
    store,
    partition,
    changelog,
    tombstoneRetentionMs: changelog.tombstoneRetentionMs ?? tombstoneRetentionMs,
    wallTime: () => clock.wallTime(),
    signal,
    onHeldUp,
    wiping: () => options.wiping(),
    onWiped,
    onProgress: options.onProgress,
  })
  options.onRecovered(applied, from)
  const isEmpty = meta.changelog.next === 0 || !(await hasEntries(store))
  return {
    topic: changelog.name,
    store,
    meta,
    behind: { topic: changelog.name, partition, offset: meta.changelog.next, leaderEpoch },
    endOfEpoch: async (epoch) =>
      (await log.endOfEpoch({ topic: changelog.name, partition }, epoch)).end,
    // A replay knows positions from headers, perhaps without ids; what was stored before it has them.
    found: { stored: withTopicIds(meta.inputs, local), header: headerPositions, isEmpty },
  }
}

async function hasEntries(store: PartitionStore): Promise<boolean> {
  for await (const page of store.range()) if (page.length > 0) return true
  return false
}

async function openInput(
  options: OpeningOptions,
  stream: string,
  info: TopicInfo,
  committed: readonly Position[],
  found: FoundPositions | null,
): Promise<InputBuffer> {
  const { log, edges, partition, onDataLoss, onSkipped, signal } = options
  const topic = info.name
  const at = info.partitions[partition]
  const context = { function: edges.function, stream, partition }
  if (at === undefined) {
    throw new HostError('TOPIC_MISMATCH', `${topic} has no partition ${partition}`, context)
  }
  const stored = found?.stored.find((position) => position.topic === topic)
  const recorded = found?.header?.get(topic)
  const moved = committed.find((known) => known.topic === topic)
  // The log answers for what is committed: a local table may be of before, or of another log.
  const noted = found === null ? options.notes.get(partition) : undefined
  const before = [recorded, stored, noted?.find((known) => known.topic === topic)].find(
    (known) => known !== undefined && known.topicId !== '' && known.topicId !== info.id,
  )
  if (moved === undefined && before !== undefined) {
    const { offset } = before
    const upTo = offset === undefined ? '' : ` to ${offset}`
    const what = `${topic} was deleted and made anew after ${edges.function} had read it${upTo}`
    if (onDataLoss === 'continue') {
      onSkipped(`${what}: it is read from its oldest record, ${at.oldest}`)
      return new InputBuffer(topic, at.oldest, at.stableEnd)
    }
    throw new HostError(
      'INPUT_LOST',
      `${what}: reset the function to count it from its start, or give it onDataLoss: 'continue'`,
      { ...context, ...(offset === undefined ? {} : { offset }) },
    )
  }
  const known =
    moved ??
    // Committed positions of other inputs are there: this input is new, nothing has expired.
    (committed.length > 0 ? undefined : (recorded ?? stored))
  if (known === undefined) {
    if (committed.length === 0 && found !== null && !found.isEmpty) {
      throw new HostError(
        'POSITIONS_LOST',
        `${edges.function}, partition ${partition}: the table has values, but where to go on in ${topic} is known neither to the log nor to the table: ` +
          `rebuild it from its inputs with \`millrace reset ${edges.function}\`, restore the data folder while the host is stopped, or, if you know where to go on, ` +
          `set the positions of the group ${edges.group} with Kafka's own tools; then start the host again`,
        context,
      )
    }
    return new InputBuffer(topic, at.oldest, at.stableEnd)
  }
  const { offset: position, leaderEpoch } = known
  const asked = { topic, partition, offset: position }
  const from = leaderEpoch === undefined ? asked : { ...asked, leaderEpoch }
  const { now, cut } = await unlessAborted(whereCut(log, from, info, at, signal), signal)
  const goOn = (what: string, next: number, epoch?: number): InputBuffer => {
    if (onDataLoss === 'continue') {
      onSkipped(`${what}: it goes on at ${next}`)
      return new InputBuffer(topic, next, now.stableEnd, epoch)
    }
    throw new HostError(
      'INPUT_LOST',
      `${what}: records are gone; reset the function to go on from what is there, or give it onDataLoss: 'continue'`,
      { ...context, offset: position },
    )
  }
  const goesOn = `${edges.function} is to go on at ${position}`
  const outside = `${topic}, partition ${partition} has the offsets ${now.oldest} to ${now.stableEnd}, ${goesOn}`
  if (position < now.oldest) return goOn(outside, now.oldest)
  if (cut !== undefined) {
    const what = `${topic}, partition ${partition} was cut off at ${cut.offset} by a leader that had no more of it, and ${goesOn}`
    return goOn(what, Math.max(cut.offset, now.oldest), cut.leaderEpoch)
  }
  if (position > now.stableEnd) return goOn(outside, now.stableEnd)
  return new InputBuffer(topic, position, now.stableEnd, leaderEpoch)
}

function need(topics: ReadonlyMap<string, TopicInfo>, name: string, edges: Edges): TopicInfo {
  const found = topics.get(name)
  if (found !== undefined) return found
  throw new HostError('UNKNOWN_TOPIC', `${edges.function}: the topic ${name} does not exist`, {
    function: edges.function,
  })
}
