// An entry of the log: some records that follow each other in a partition, with what is known of them in front, and checksums.
import { crc32 } from 'node:zlib'

// An entry:  check of the head u32, check of the records u32, form u8, span u32, count u32, newest timestamp f64,
//            appended at f64, bytes of the partition up to its end f64; then the records.
// A record:  key length u32, value length u32, timestamp f64, headers u16, then for each header: name
//            length u16, name, value length u32, value; then key, value.
// Sparse:    in front of each record its distance from the entry's offset u32; behind a tombstone when it was found first f64.
const BODY_CHECK = 4
const FORM = 8
const SPAN = 9
const COUNT = 13
const NEWEST = 17
const APPENDED = 25
const BEHIND = 33
export const ENTRY_HEAD_BYTES = 41
/** Entries stop growing here, so that a reader's budget holds for each partition. */
export const ENTRY_BYTES = 256 * 1024
export const NONE = 0xffffffff

const DENSE = 0
const SPARSE = 1

export interface EntryHead {
  /** Every offset of the span has its record. Otherwise the entry was compacted. */
  readonly isDense: boolean
  /** The next entry begins so many offsets further on. */
  readonly span: number
  readonly count: number
  /** The highest timestamp of its records; of a compacted one without any: 0. */
  readonly newest: number
  /** When its last record was written, by the host's clock. */
  readonly appended: number
  /** What was ever written to the partition up to its end, in bytes of entries: two of them give the size between. */
  readonly behind: number
}

/** What a client knows of an entry that it packs; the log thread seals it. */
export function beginEntry(view: DataView, at: number, count: number, newest: number): void {
  view.setUint8(at + FORM, DENSE)
  view.setUint32(at + SPAN, count, true)
  view.setUint32(at + COUNT, count, true)
  view.setFloat64(at + NEWEST, newest, true)
}

/** As above, of an entry that has lost records: the span is what it has had. */
export function beginSparse(
  entry: Buffer,
  { span, count, newest }: Pick<EntryHead, 'span' | 'count' | 'newest'>,
): void {
  entry[FORM] = SPARSE
  entry.writeUInt32LE(span, SPAN)
  entry.writeUInt32LE(count, COUNT)
  entry.writeDoubleLE(newest, NEWEST)
}

/** Of an entry that is not sealed yet. */
export const countOf = (entry: Buffer): number => entry.readUInt32LE(COUNT)
const newestOf = (entry: Buffer): number => entry.readDoubleLE(NEWEST)

/** One entry of several that follow each other in a partition, to be sealed. */
export function mergeEntries(entries: readonly Buffer[]): Buffer {
  const head = Buffer.allocUnsafe(ENTRY_HEAD_BYTES)
  const count = entries.reduce((sum, entry) => sum + countOf(entry), 0)
  beginEntry(viewOf(head), 0, count, Math.max(...entries.map(newestOf)))
  return Buffer.concat([head, ...entries.map((entry) => entry.subarray(ENTRY_HEAD_BYTES))])
}

/** Bound to its key: under another one it is damaged, too. */
export function sealEntry(key: Buffer, entry: Buffer, appended: number, behind: number): void {
  entry.writeDoubleLE(appended, APPENDED)
  entry.writeDoubleLE(behind, BEHIND)
  entry.writeUInt32LE(crc32(entry.subarray(ENTRY_HEAD_BYTES)), BODY_CHECK)
  entry.writeUInt32LE(checkOfHead(key, entry), 0)
}

/** Undefined: it is damaged. Tells nothing of the records, which are checked when they are read. */
export function readHead(key: Buffer, entry: Buffer): EntryHead | undefined {
  if (entry.length < ENTRY_HEAD_BYTES || entry.readUInt32LE(0) !== checkOfHead(key, entry)) {
    return undefined
  }
  return {
    isDense: entry[FORM] === DENSE,
    span: entry.readUInt32LE(SPAN),
    count: countOf(entry),
    newest: newestOf(entry),
    appended: entry.readDoubleLE(APPENDED),
    behind: entry.readDoubleLE(BEHIND),
  }
}

function checkOfHead(key: Buffer, entry: Buffer): number {
  return crc32(key, crc32(entry.subarray(BODY_CHECK, ENTRY_HEAD_BYTES)))
}

/** The head, when the records are whole, too. */
export function checkEntry(key: Buffer, entry: Buffer): EntryHead | undefined {
  const head = readHead(key, entry)
  if (head === undefined) return undefined
  const found = crc32(entry.subarray(ENTRY_HEAD_BYTES))
  return found === entry.readUInt32LE(BODY_CHECK) ? head : undefined
}

const viewOf = (entry: Buffer): DataView =>
  new DataView(entry.buffer, entry.byteOffset, entry.length)
