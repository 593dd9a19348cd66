// Makes one entry of several that follow each other, with those of their records that are kept, each at its offset.
import { DELTA_BYTES, FOUND_BYTES, RecordCursor } from './cursor.js'
import { beginSparse, ENTRY_HEAD_BYTES, type EntryHead, sealEntry } from './entry.js'

export interface Part {
  readonly key: Buffer
  readonly entry: Buffer
  readonly base: number
  readonly head: EntryHead
  /** What is kept of it, as it will be written. */
  readonly bytes: number
  readonly isChanged: boolean
}

export const sparseBytes = (cursor: RecordCursor): number =>
  DELTA_BYTES + cursor.end - cursor.start + (cursor.isTombstone ? FOUND_BYTES : 0)

/** Under the key of the first; spans all of them. Tombstones that are new to compaction are found at `time`. */
export function rewrite(
  parts: readonly [Part, ...Part[]],
  keep: (cursor: RecordCursor) => boolean,
  time: number,
): Buffer {
  const [first] = parts
  const bytes = parts.reduce((sum, part) => sum + part.bytes, ENTRY_HEAD_BYTES)
  const target = Buffer.allocUnsafe(bytes)
  let at = ENTRY_HEAD_BYTES
  let span = 0
  let count = 0
  let newest = 0
  let appended = 0
  let behind = 0
  for (const { entry, base, head } of parts) {
    span += head.span
    appended = Math.max(appended, head.appended)
    behind = head.behind
    const cursor = new RecordCursor(entry, head, base)
    while (cursor.next()) {
      if (!keep(cursor)) continue
      count++
      newest = Math.max(newest, cursor.timestamp)
      at = target.writeUInt32LE(cursor.offset - first.base, at)
      at += entry.copy(target, at, cursor.start, cursor.end)
      if (cursor.isTombstone) at = target.writeDoubleLE(cursor.foundAt || time, at)
    }
  }
  beginSparse(target, { span, count, newest })
  sealEntry(first.key, target, appended, behind)
  return target
}
