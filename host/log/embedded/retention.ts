// Deletes the oldest entries of a stream: those that are too old, and those beyond the size that it may have.
import { readHead } from './entry.js'
import { baseOf, entryKey, type Operation, packRange, partitionKey, put } from './layout.js'
import type { Partition } from './topics.js'
import type { Upkeep } from './upkeep.js'

export interface Limits {
  /** −1: for ever. */
  readonly retentionMs: number
  /** −1: any size. */
  readonly retentionBytes: number
}

/** Entries looked at between two turns of the event loop, and deleted by one write at most. */
const SLICE = 1024
const SLICE_BYTES = 1024 * 1024

/** In bytes, what was deleted. Only whole entries go: of one that has a record to keep, all stay. */
export async function expire(
  upkeep: Upkeep,
  partition: Partition,
  limits: Limits,
): Promise<number> {
  if (limits.retentionMs < 0 && limits.retentionBytes < 0) return 0
  let deleted = 0
  while (!upkeep.isStopping()) {
    const found = await expired(upkeep, partition, limits)
    if (found === undefined) break
    const isThere = await upkeep.turn(partition, async () => {
      const { number } = partition.topic
      const at = partitionKey(number, partition.partition)
      const dels = found.keys.map((key): Operation => ({ type: 'del', key }))
      // In one write: a log without its first entries, and without knowing it, would look damaged. The end is stored, as
      // there may be no entry left that says it.
      await upkeep.write([...dels, put(at, packRange(found.oldest, partition.end))])
      // Not before: what cannot be read any more is gone for good.
      partition.oldest = found.oldest
      upkeep.ends.publishOldest(partition.slot, found.oldest)
    })
    if (!isThere) break
    deleted += found.bytes
    await upkeep.pause()
  }
  return deleted
}

interface Expired {
  readonly keys: readonly Buffer[]
  readonly oldest: number
  readonly bytes: number
}

async function expired(
  { database, now }: Upkeep,
  { topic, partition, oldest, end, bytes: written }: Partition,
  { retentionMs, retentionBytes }: Limits,
): Promise<Expired | undefined> {
  const time = now()
  const iterator = database.iterator({
    gte: entryKey(topic.number, partition, oldest),
    lt: entryKey(topic.number, partition, end),
    highWaterMarkBytes: SLICE_BYTES,
  })
  let found: { count: number; oldest: number; bytes: number } | undefined
  const keys: Buffer[] = []
  let bytes = 0
  try {
    let isAtKept = false
    // Mostly the first one stays: what follows is read only if it does not.
    for (let slice = await iterator.nextv(1); slice.length > 0; ) {
      for (const [key, entry] of slice) {
        keys.push(key)
        bytes += entry.length
        const head = readHead(key, entry)
        // How old it is nobody knows: it goes when one behind it does.
        if (head === undefined) continue
        // Not from their timestamps: a sender may give any, and one far ahead would keep all that lies behind it for good.
        const age = time - head.appended
        const isTooOld = retentionMs >= 0 && age > retentionMs
        const isTooMuch = retentionBytes >= 0 && written - head.behind >= retentionBytes
        isAtKept = !isTooOld && !isTooMuch
        if (isAtKept) break
        found = { count: keys.length, oldest: baseOf(key) + head.span, bytes }
      }
      if (isAtKept || (found !== undefined && keys.length > 1)) break
      slice = await iterator.nextv(SLICE)
    }
  } finally {
    await iterator.close()
  }
  return found && { ...found, keys: keys.slice(0, found.count) }
}
