// Finds a position by time.
import type { LogRecord } from '../log.js'
import type { Database } from './database.js'
import { baseOf, entryKey } from './layout.js'
import { newestOf, unpackEntry } from './packing.js'

/**
 * The offset of the first record that is not older than `time`, or `end`. Looks at every entry from the first: timestamps are
 * the senders' and need not rise, so that no search by halves would find the first.
 */
export async function findByTime(
  database: Database,
  topic: number,
  partition: number,
  end: number,
  time: number,
): Promise<number> {
  const entries = database.iterator({
    gte: entryKey(topic, partition, 0),
    lt: entryKey(topic, partition, end),
    highWaterMarkBytes: 1024 * 1024,
  })
  for await (const [key, entry] of entries) {
    if (newestOf(entry) < time) continue
    const base = baseOf(key)
    const records: LogRecord[] = []
    unpackEntry(entry, base, base, records)
    const found = records.find(({ timestamp }) => timestamp >= time)
    if (found !== undefined) return found.offset
  }
  return end
}
