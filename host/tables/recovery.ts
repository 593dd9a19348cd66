// Brings a table partition up to its changelog: decides between going on, replaying and wiping, then applies the records.

import { HostError } from '../errors.js'
import { whereCut } from '../log/cut.js'
import type { Batch, Log, LogReader, PartitionInfo, Position, TopicInfo } from '../log/log.js'
import { unlessAborted } from '../within.js'
import { storeLayout } from './layout.js'
import { type HeaderPositions, positionsIn, withTopicIds } from './positions.js'
import type { Change, PartitionMeta, PartitionStore } from './store.js'

export interface RecoveryOptions {
  readonly log: Log
  readonly store: PartitionStore
  readonly partition: number
  readonly changelog: TopicInfo
  /** `end`, the default, of who has fenced all others that write it; `stable end` of who only reads it. */
  readonly upTo?: 'end' | 'stable end'
  /** Absent: each value is put as it is, each deletion deletes. */
  readonly apply?: Apply
  /** How long the changelog keeps tombstones: a store that was away for longer may have missed a deletion. */
  readonly tombstoneRetentionMs: number
  readonly wallTime: () => number
  /** Another producer has left a transaction open in the changelog; what lies behind it is read when that has been decided. */
  onHeldUp(what: string): void
  /** Nothing is wiped before it resolves: whoever reads what is stored may take it for a table until then. */
  wiping?(): Promise<void>
  /** Why the local store could not be kept. */
  onWiped(reason: string): void
  onProgress(applied: number, next: number, end: number): void
  readonly signal: AbortSignal
  /** As `replayReader` makes it; not closed. Absent: one of its own. */
  readonly reader?: LogReader
}

const replayBytes = 4 * 1024 * 1024

/** Made before it is needed, it is ready when it is. */
export const replayReader = (log: Pick<Log, 'reader'>, topics: readonly string[] = []): LogReader =>
  log.reader({ maxBytes: replayBytes, isBrief: true, topics })

/** What the records of a batch change, as far as `next`: short of the batch's, if `failure` is why the one there cannot be applied. */
export interface Applied {
  readonly changes: readonly Change[]
  readonly next: number
  readonly failure?: HostError
}

/** The store has all that lies before the batch. */
export type Apply = (batch: Batch, store: PartitionStore) => Applied

export const putAll: Apply = ({ records, next }) => ({
  changes: records.flatMap(({ key, value }) => (key === null ? [] : [[key, value] as const])),
  next,
})

/** What is stored with the changes of a batch. `told`: the input positions that its records carry. */
export function metaBehind(
  meta: PartitionMeta,
  changelog: Pick<PartitionMeta['changelog'], 'next' | 'leaderEpoch'>,
  told: HeaderPositions | undefined,
): PartitionMeta {
  const moved = { ...meta, changelog: { ...meta.changelog, ...changelog } }
  if (told === undefined) return moved
  return { ...moved, inputs: withTopicIds(told.values(), meta.inputs) }
}

export interface Recovered {
  /** Of the table at its end: what is stored says less of it until this is. */
  readonly meta: PartitionMeta
  /** From the newest changelog record that carries them; only of records that were replayed. */
  readonly headerPositions: HeaderPositions | undefined
  readonly applied: number
  /** Where it has begun. */
  readonly from: number
  /** Of who told of the end. */
  readonly leaderEpoch: number
}

/** Up to the end: call it after the writer is open, only then does nobody else move the changelog's end. */
export async function recover(options: RecoveryOptions): Promise<Recovered> {
  if (options.reader !== undefined) return await recoverBy(options.reader, options)
  await using own = replayReader(options.log)
  return await recoverBy(own, options)
}

async function recoverBy(reader: LogReader, options: RecoveryOptions): Promise<Recovered> {
  const { store, partition, changelog } = options
  const described = changelog.partitions[partition]
  if (described === undefined) {
    throw new HostError('TOPIC_MISMATCH', `${changelog.name} has no partition ${partition}`, {
      stream: changelog.name,
      partition,
    })
  }
  const found = store.meta()
  const { info, reason } =
    found === undefined ? { info: described } : await judge(options, found, described)
  const isKept = found !== undefined && reason === undefined
  // Without meta there may be the rest of an interrupted wipe or replay: cleared too.
  if (!isKept) {
    await options.wiping?.()
    options.signal.throwIfAborted()
    if (reason !== undefined) options.onWiped(reason)
    await store.wipe()
  }

  const start: PartitionMeta = {
    layout: storeLayout,
    changelog: {
      topic: changelog.name,
      topicId: changelog.id,
      next: isKept ? found.changelog.next : info.oldest,
      leaderEpoch: isKept ? found.changelog.leaderEpoch : info.leaderEpoch,
    },
    appliedAt: isKept ? found.appliedAt : options.wallTime(),
    inputs: isKept ? found.inputs : [],
  }
  // Own transactions are decided, since the writer is open. Behind another's there may be what was committed here: without it the
  // table would be older than the positions.
  const end = options.upTo === 'stable end' ? info.stableEnd : info.end
  if (info.stableEnd < end && start.changelog.next < end) {
    options.onHeldUp(
      `another producer has a transaction open in ${changelog.name}, at offset ${info.stableEnd} or behind it, and nothing else should write there: the table waits until it is committed, aborted or has timed out`,
    )
  }
  const { next: offset, leaderEpoch } = start.changelog
  const from = { topic: changelog.name, partition, offset }
  return await replay(reader, options, start, isKept ? { ...from, leaderEpoch } : from, {
    ...info,
    end,
  })
}

interface Judged {
  /** The partition, described by a leader that is no older than what is stored. */
  readonly info: PartitionInfo
  /** Why what is stored is to be wiped; absent: it is kept. */
  readonly reason?: string | undefined
}

async function judge(
  options: RecoveryOptions,
  found: PartitionMeta,
  described: PartitionInfo,
): Promise<Judged> {
  const { log, changelog, partition, signal } = options
  const { name } = changelog
  const other = reasonInKind(found, changelog)
  if (other !== undefined) return { info: described, reason: other }
  const { next: offset, leaderEpoch } = found.changelog
  const at = { topic: name, partition, offset, leaderEpoch }
  const looking = whereCut(log, at, changelog, described, signal)
  const { now: info, cut } = await unlessAborted(looking, signal)
  const reason =
    reasonInEnds(found, name, info) ??
    (cut === undefined
      ? reasonInAge(found, name, info, options)
      : `${name} was cut off below what is stored, and written anew`)
  return { info, reason }
}

/** Why a store does not go with the topic as it is described. */
export function reasonInTopic(
  found: PartitionMeta,
  changelog: TopicInfo,
  info: PartitionInfo,
): string | undefined {
  return reasonInKind(found, changelog) ?? reasonInEnds(found, changelog.name, info)
}

function reasonInKind(found: PartitionMeta, { name, id }: TopicInfo): string | undefined {
  if (found.layout !== storeLayout)
    return `it has layout ${found.layout}, this version ${storeLayout}`
  if (found.changelog.topicId !== id)
    return `${name} is another topic than before, deleted and made anew or moved`
  return undefined
}

function reasonInEnds(
  { changelog: { next } }: PartitionMeta,
  topic: string,
  { oldest, end }: PartitionInfo,
): string | undefined {
  if (next > end) return `${topic} was cut off below what is stored`
  if (next < oldest) return `${topic} no longer has what follows (${next} < ${oldest})`
  return undefined
}

/** Why a store that goes with its topic may have missed deletions all the same. */
export function reasonInAge(
  found: PartitionMeta,
  topic: string,
  { end }: PartitionInfo,
  { wallTime, tombstoneRetentionMs }: Pick<RecoveryOptions, 'wallTime' | 'tombstoneRetentionMs'>,
): string | undefined {
  // A tenth less, for clocks that differ.
  const age = wallTime() - found.appliedAt
  // A clock that was set back tells nothing.
  const isUnknown = age < tombstoneRetentionMs * -0.1
  if (found.changelog.next >= end || (!isUnknown && age <= tombstoneRetentionMs * 0.9)) {
    return undefined
  }
  return `it was away for ${Math.round(age / 3_600_000)} h, and deletions may be gone from ${topic}`
}

async function replay(
  reader: LogReader,
  options: RecoveryOptions,
  start: PartitionMeta,
  from: Position,
  { end: told, leaderEpoch }: PartitionInfo,
): Promise<Recovered> {
  const { store, signal, upTo, apply = putAll } = options
  let end = told
  let meta = start
  let applied = 0
  let headerPositions: HeaderPositions | undefined
  if (meta.changelog.next < end) {
    reader.assign([from])
    while (meta.changelog.next < end) {
      const batches = await nextOf(reader, signal)
      signal.throwIfAborted()
      for (const batch of batches) {
        // Told by a leader that was none any more, it may be too low. Who has fenced all others does not run after what they write.
        if (upTo !== 'stable end') end = Math.max(end, batch.stableEnd)
        const { changes, next, failure } = apply(batch, store)
        const told = positionsIn(batch)
        headerPositions = told ?? headerPositions
        applied += batch.records.length
        // A log that does not tell it of what is read begins an epoch whenever it is opened: this one ends behind all of it.
        const epoch = batch.leaderEpoch ?? leaderEpoch
        meta = metaBehind(meta, { next, leaderEpoch: epoch }, told)
        await store.write(changes, meta)
        if (failure !== undefined) throw failure
      }
      options.onProgress(applied, meta.changelog.next, end)
    }
  }
  meta = { ...meta, appliedAt: options.wallTime() }
  return { meta, headerPositions, applied, from: from.offset, leaderEpoch }
}

/** What is cut, or expires, while it is replayed is looked at anew: this replay has begun with what is not so any more. */
async function nextOf(reader: LogReader, signal: AbortSignal): Promise<readonly Batch[]> {
  try {
    return await unlessAborted(reader.next(), signal)
  } catch (error) {
    if (!(error instanceof HostError) || error.code !== 'OFFSET_OUT_OF_RANGE') throw error
    throw new HostError('LOG_FAILED', `${error.message}; it is replayed anew`, { cause: error })
  }
}
