// Makes records of an entry's bytes, for readers.
import type { LogRecord } from '../log.js'
import { PackedRecord } from '../packed-record.js'
import { RecordCursor } from './cursor.js'
import { checkEntry } from './entry.js'

/**
 * Adds the records from offset `from` on to `into`, of the entry that begins at `base`; the offset behind the entry, or
 * 'damaged', and nothing added.
 */
export function unpackEntry(
  key: Buffer,
  entry: Buffer,
  base: number,
  from: number,
  into: LogRecord[],
): number | 'damaged' {
  const head = checkEntry(key, entry)
  if (head === undefined) return 'damaged'
  const added = into.length
  const cursor = new RecordCursor(entry, head, base)
  while (cursor.next()) {
    const { offset } = cursor
    if (offset < from) continue
    into.push(new PackedRecord(entry, offset, cursor.timestamp, cursor, cursor.headers()))
  }
  if (!cursor.isDamaged) return base + head.span
  into.length = added
  return 'damaged'
}
