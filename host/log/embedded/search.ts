// Finds a position by time.
import type { LogRecord, TopicPartition } from '../log.js'
import { logDamaged } from '../problems.js'
import type { Database } from './database.js'
import { readHead } from './entry.js'
import { baseOf, entryKey } from './layout.js'
import { unpackEntry } from './unpacking.js'

/**
 * The offset of the first record that is not older than `time`, or `end`. Looks at every entry from the first: timestamps are
 * the senders' and need not rise, so that no search by halves would find the first.
 */
export async function findByTime(
  database: Database,
  topic: number,
  at: TopicPartition,
  end: number,
  time: number,
): Promise<number> {
  const entries = database.iterator({
    gte: entryKey(topic, at.partition, 0),
    lt: entryKey(topic, at.partition, end),
    highWaterMarkBytes: 1024 * 1024,
  })
  let expected: number | undefined
  for await (const [key, entry] of entries) {
    const base = baseOf(key)
    // LevelDB passes over a block that it cannot read.
    const head = readHead(key, entry)
    if (head === undefined || (expected !== undefined && base !== expected)) {
      throw logDamaged(at, expected ?? base)
    }
    expected = base + head.span
    if (head.newest < time) continue
    const records: LogRecord[] = []
    if (unpackEntry(key, entry, base, base, records) === 'damaged') throw logDamaged(at, base)
    const found = records.find(({ timestamp }) => timestamp >= time)
    if (found !== undefined) return found.offset
  }
  return end
}
