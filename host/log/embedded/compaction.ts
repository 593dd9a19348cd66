// Compacts one partition of a table: of each key only the last record stays, and of deletions those that are young enough.
import { logDamaged } from '../problems.js'
import { RecordCursor } from './cursor.js'
import { checkEntry, ENTRY_BYTES, type EntryHead } from './entry.js'
import {
  baseOf,
  type Cleaned,
  cleanedKey,
  entryKey,
  type Operation,
  packCleaned,
  put,
} from './layout.js'
import { type Part, rewrite, sparseBytes } from './rewriting.js'
import type { Partition } from './topics.js'
import type { Upkeep } from './upkeep.js'

export interface CompactionSettings {
  readonly tombstoneRetentionMs: number
  readonly keyBytes: number
}

/** Entries and bytes that are gone through between two pauses. */
const SLICE = 1024
const SLICE_BYTES = 1024 * 1024
/** Of entries that are held to be written as one: few of their bytes may be kept. */
const HELD_BYTES = 4 * 1024 * 1024
/** What a map takes for a key, besides its bytes. */
const KEY_OVERHEAD = 100
const MOST_SPAN = 0xffff_ffff

interface Found {
  readonly key: Buffer
  readonly entry: Buffer
  readonly base: number
  readonly head: EntryHead
}

/**
 * One pass, in two steps: what is new is gone through for the last offset of each key, as far as memory allows; then everything
 * up to there is gone through from the oldest entry on, and entries that lose records are written anew, several as one.
 * Each such write is whole by itself, and a pass that was cut short is begun anew. The partition's last entry is left alone: it says
 * where the partition ends, and the positions in its header are the newest.
 */
export async function compact(
  upkeep: Upkeep,
  partition: Partition,
  settings: CompactionSettings,
): Promise<void> {
  const border = await entryAt(upkeep, partition, Number.MAX_SAFE_INTEGER)
  if (border === undefined) return
  const last = new Map<string, number>()
  const known = await gather(upkeep, partition, border, settings.keyBytes, last)
  if (known === undefined) return
  const time = upkeep.now()
  const rewriting = new Pass(upkeep, partition, (cursor) => {
    if (cursor.isKeyless) return true
    const newest = last.get(cursor.latin1Key())
    if (newest !== undefined && cursor.offset < newest) return false
    return !cursor.isTombstone || isYoung(cursor.foundAt, time, settings)
  })
  for await (const found of entries(upkeep, partition, partition.oldest, known.end)) {
    await rewriting.add(found, time)
  }
  if (upkeep.isStopping()) return
  await rewriting.finish()
  const { bytes, tombstoneAt } = rewriting
  const cleaned: Cleaned = { ...known, bytes, tombstoneAt }
  await upkeep.turn(partition, async () => {
    const { number } = partition.topic
    await upkeep.write([put(cleanedKey(number, partition.partition), packCleaned(cleaned))])
    partition.cleaned = cleaned
  })
}

const isYoung = (foundAt: number, time: number, settings: CompactionSettings): boolean =>
  foundAt === 0 || time - foundAt < settings.tombstoneRetentionMs

/** Where the last entry begins that does not begin behind the offset. */
async function entryAt(
  { database }: Upkeep,
  { topic, partition, oldest }: Partition,
  offset: number,
): Promise<number | undefined> {
  const [key] = await database
    .keys({
      gte: entryKey(topic.number, partition, oldest),
      lte: entryKey(topic.number, partition, offset),
      reverse: true,
      limit: 1,
    })
    .all()
  return key && baseOf(key)
}

/** The last offset of each key from the clean part on; how far it came. */
async function gather(
  upkeep: Upkeep,
  partition: Partition,
  border: number,
  keyBytes: number,
  last: Map<string, number>,
): Promise<{ end: number; behind: number } | undefined> {
  let { end, behind } = partition.cleaned
  let bytes = 0
  // A pass that was cut short may have made one entry of the last that was clean and of what follows it.
  const from = (await entryAt(upkeep, partition, end)) ?? end
  for await (const { entry, base, head } of entries(upkeep, partition, from, border)) {
    // At least one entry, however small the room is: else there would be no end to it.
    if (bytes >= keyBytes) break
    const cursor = new RecordCursor(entry, head, base)
    while (cursor.next()) {
      if (cursor.isKeyless) continue
      const before = last.size
      last.set(cursor.latin1Key(), cursor.offset)
      if (last.size > before) bytes += KEY_OVERHEAD + cursor.keyEnd - cursor.keyAt
    }
    if (cursor.isDamaged) throw damaged(partition, base)
    end = base + head.span
    behind = head.behind
  }
  return upkeep.isStopping() ? undefined : { end, behind }
}

/** Checked, and without a gap. Ends early when maintenance is to stop. */
async function* entries(
  upkeep: Upkeep,
  partition: Partition,
  from: number,
  end: number,
): AsyncGenerator<Found> {
  const { number } = partition.topic
  const iterator = upkeep.database.iterator({
    gte: entryKey(number, partition.partition, from),
    lt: entryKey(number, partition.partition, end),
    highWaterMarkBytes: SLICE_BYTES,
  })
  let next = from
  try {
    while (!upkeep.isStopping()) {
      const slice = await iterator.nextv(SLICE)
      if (slice.length === 0) {
        if (next < end) throw damaged(partition, next)
        return
      }
      for (const [key, entry] of slice) {
        const head = checkEntry(key, entry)
        if (baseOf(key) !== next || head === undefined) throw damaged(partition, next)
        yield { key, entry, base: next, head }
        next += head.span
      }
      await upkeep.pause()
    }
  } finally {
    await iterator.close()
  }
}

const damaged = ({ topic, partition }: Partition, offset: number): Error =>
  logDamaged({ topic: topic.name, partition }, offset)

/** Gathers entries that follow each other until they would make one too large, and writes them as one if that changes anything. */
class Pass {
  readonly #upkeep: Upkeep
  readonly #partition: Partition
  readonly #keep: (cursor: RecordCursor) => boolean
  #parts: Part[] = []
  #partsBytes = 0
  #partsSpan = 0
  #heldBytes = 0
  #time = 0
  bytes = 0
  tombstoneAt = 0

  constructor(upkeep: Upkeep, partition: Partition, keep: (cursor: RecordCursor) => boolean) {
    this.#upkeep = upkeep
    this.#partition = partition
    this.#keep = keep
  }

  async add({ key, entry, base, head }: Found, time: number): Promise<void> {
    this.#time = time
    const cursor = new RecordCursor(entry, head, base)
    let bytes = 0
    let isChanged = false
    while (cursor.next()) {
      if (!this.#keep(cursor)) {
        isChanged = true
        continue
      }
      bytes += sparseBytes(cursor)
      if (!cursor.isTombstone) continue
      if (cursor.foundAt === 0) isChanged = true
      const foundAt = cursor.foundAt || time
      this.tombstoneAt = this.tombstoneAt === 0 ? foundAt : Math.min(this.tombstoneAt, foundAt)
    }
    if (cursor.isDamaged) throw damaged(this.#partition, base)
    if (
      this.#partsBytes + bytes > ENTRY_BYTES ||
      this.#heldBytes + entry.length > HELD_BYTES ||
      this.#partsSpan + head.span > MOST_SPAN
    ) {
      await this.finish()
    }
    this.#parts.push({ key, entry, base, head, bytes, isChanged })
    this.#partsBytes += bytes
    this.#partsSpan += head.span
    this.#heldBytes += entry.length
  }

  async finish(): Promise<void> {
    const [first, ...others] = this.#parts
    if (first === undefined) return
    this.#parts = []
    this.#partsBytes = 0
    this.#partsSpan = 0
    this.#heldBytes = 0
    if (others.length === 0 && !first.isChanged) {
      this.bytes += first.entry.length
      return
    }
    const entry = rewrite([first, ...others], this.#keep, this.#time)
    this.bytes += entry.length
    // One write: a reader finds the old entries or the new one, and so does the next start.
    const dels = others.map(({ key }): Operation => ({ type: 'del', key }))
    await this.#upkeep.turn(this.#partition, () =>
      this.#upkeep.write([...dels, { type: 'put', key: first.key, value: entry }]),
    )
  }
}
