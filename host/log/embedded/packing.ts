// How records lie in bytes: packed once by the thread that appends, stored as they are, cut without copying when read.

import { RECORD_BYTES } from '../limits.js'
import type { Header, LogRecord, RecordToAppend } from '../log.js'
import { checkRecord } from '../problems.js'

// An entry:  count u32, newest timestamp f64, then the records.
// A record:  key length u32, value length u32, timestamp f64, headers u16, then for each header: name
//            length u16, name, value length u32, value; then key, value.
// A request: sections u32, then for each: topic u32, partition u32, bytes u32; then their entries, in that order.
export const ENTRY_HEADER_BYTES = 12
const SECTION_BYTES = 12
const NONE = 0xffffffff
/** Entries stop growing here, so that a reader's budget holds for each partition. */
export const ENTRY_BYTES = 256 * 1024

export interface Section {
  readonly topic: number
  readonly partition: number
  readonly entry: Buffer
}

interface Draft {
  readonly topicName: string
  readonly topic: number
  readonly partition: number
  count: number
  bytes: number
  newest: number
  at: number
}

export interface Packed {
  readonly buffer: ArrayBuffer
  readonly sections: readonly { topicName: string; partition: number; count: number }[]
  /** For each record its section, and its place there. */
  readonly sectionOf: Uint32Array
  readonly placeOf: Uint32Array
}

/** Packs records into one transferable request. `numberOf` throws for what does not exist. */
export function packRequest(
  records: readonly RecordToAppend[],
  numberOf: (topic: string, partition: number) => number,
  maxRecordBytes: number,
): Packed {
  const drafts: Draft[] = []
  const open = new Map<string, number[]>()
  const sectionOf = new Uint32Array(records.length)
  const placeOf = new Uint32Array(records.length)
  records.forEach((record, i) => {
    const bytes = checkRecord(record, maxRecordBytes)
    let ofTopic = open.get(record.topic)
    if (ofTopic === undefined) {
      ofTopic = []
      open.set(record.topic, ofTopic)
    }
    let section = ofTopic[record.partition]
    let draft = section === undefined ? undefined : drafts[section]
    if (section === undefined || draft === undefined || draft.bytes + bytes > ENTRY_BYTES) {
      draft = {
        topicName: record.topic,
        topic: draft?.topic ?? numberOf(record.topic, record.partition),
        partition: record.partition,
        count: 0,
        bytes: ENTRY_HEADER_BYTES,
        newest: record.timestamp,
        at: 0,
      }
      section = drafts.push(draft) - 1
      ofTopic[record.partition] = section
    }
    sectionOf[i] = section
    placeOf[i] = draft.count++
    draft.bytes += bytes
    if (record.timestamp > draft.newest) draft.newest = record.timestamp
  })
  return { buffer: write(records, drafts, sectionOf), sections: drafts, sectionOf, placeOf }
}

function write(
  records: readonly RecordToAppend[],
  drafts: readonly Draft[],
  sectionOf: Uint32Array,
): ArrayBuffer {
  const table = 4 + drafts.length * SECTION_BYTES
  // A buffer of its own, never of the pool: it is transferred.
  const buffer = new ArrayBuffer(drafts.reduce((sum, draft) => sum + draft.bytes, table))
  const target = Buffer.from(buffer)
  const view = new DataView(buffer)
  view.setUint32(0, drafts.length, true)
  let at = table
  drafts.forEach((draft, i) => {
    const row = 4 + i * SECTION_BYTES
    view.setUint32(row, draft.topic, true)
    view.setUint32(row + 4, draft.partition, true)
    view.setUint32(row + 8, draft.bytes, true)
    view.setUint32(at, draft.count, true)
    view.setFloat64(at + 4, draft.newest, true)
    draft.at = at + ENTRY_HEADER_BYTES
    at += draft.bytes
  })
  records.forEach((record, i) => {
    const draft = drafts[sectionOf[i] ?? 0]
    if (draft !== undefined) draft.at = writeRecord(record, target, view, draft.at)
  })
  return buffer
}

function writeRecord(
  record: RecordToAppend,
  target: Buffer,
  view: DataView,
  start: number,
): number {
  const { key, value, headers } = record
  view.setUint32(start, key === null ? NONE : key.length, true)
  view.setUint32(start + 4, value === null ? NONE : value.length, true)
  view.setFloat64(start + 8, record.timestamp, true)
  view.setUint16(start + 16, headers === undefined ? 0 : headers.length, true)
  let at = start + RECORD_BYTES
  if (headers !== undefined) {
    for (const [name, content] of headers) {
      const length = target.write(name, at + 2)
      view.setUint16(at, length, true)
      at += 2 + length
      view.setUint32(at, content.length, true)
      target.set(content, at + 4)
      at += 4 + content.length
    }
  }
  if (key !== null) {
    target.set(key, at)
    at += key.length
  }
  if (value !== null) {
    target.set(value, at)
    at += value.length
  }
  return at
}

/** The sections of a request, as views of it. */
export function sectionsOf(request: ArrayBuffer): Section[] {
  const view = new DataView(request)
  const count = view.getUint32(0, true)
  const sections: Section[] = []
  let at = 4 + count * SECTION_BYTES
  for (let row = 4; sections.length < count; row += SECTION_BYTES) {
    const bytes = view.getUint32(row + 8, true)
    sections.push({
      topic: view.getUint32(row, true),
      partition: view.getUint32(row + 4, true),
      entry: Buffer.from(request, at, bytes),
    })
    at += bytes
  }
  return sections
}

/** Whether `countOf` and `newestOf` may be asked of it. */
export const hasHeader = (entry: Buffer): boolean => entry.length >= ENTRY_HEADER_BYTES
export const countOf = (entry: Buffer): number => entry.readUInt32LE(0)
export const newestOf = (entry: Buffer): number => entry.readDoubleLE(4)

/** One entry of several that follow each other in a partition. */
export function mergeEntries(entries: readonly Buffer[]): Buffer {
  const header = Buffer.allocUnsafe(ENTRY_HEADER_BYTES)
  header.writeUInt32LE(
    entries.reduce((sum, entry) => sum + countOf(entry), 0),
    0,
  )
  header.writeDoubleLE(Math.max(...entries.map(newestOf)), 4)
  return Buffer.concat([header, ...entries.map((entry) => entry.subarray(ENTRY_HEADER_BYTES))])
}

/** Adds the entry's records from offset `from` on to `into`; the offset behind the entry, or 'damaged', and nothing added. */
export function unpackEntry(
  entry: Buffer,
  base: number,
  from: number,
  into: LogRecord[],
): number | 'damaged' {
  const size = entry.length
  if (size < ENTRY_HEADER_BYTES) return 'damaged'
  const added = into.length
  const damaged = (): 'damaged' => {
    into.length = added
    return 'damaged'
  }
  const view = new DataView(entry.buffer, entry.byteOffset, size)
  const end = base + view.getUint32(0, true)
  let at = ENTRY_HEADER_BYTES
  for (let offset = base; offset < end; offset++) {
    // Before each use of a length: `subarray` would cut what is too long without a word.
    if (at + RECORD_BYTES > size) return damaged()
    const keyLength = view.getUint32(at, true)
    const valueLength = view.getUint32(at + 4, true)
    const timestamp = view.getFloat64(at + 8, true)
    const headerCount = view.getUint16(at + 16, true)
    at += RECORD_BYTES
    const headers: Header[] = []
    for (let i = 0; i < headerCount; i++) {
      if (at + 2 > size) return damaged()
      const nameEnd = at + 2 + view.getUint16(at, true)
      if (nameEnd + 4 > size) return damaged()
      const contentEnd = nameEnd + 4 + view.getUint32(nameEnd, true)
      if (contentEnd > size) return damaged()
      if (offset >= from) {
        const name = entry.toString('utf8', at + 2, nameEnd)
        headers.push([name, entry.subarray(nameEnd + 4, contentEnd)])
      }
      at = contentEnd
    }
    const keyEnd = keyLength === NONE ? at : at + keyLength
    const valueEnd = valueLength === NONE ? keyEnd : keyEnd + valueLength
    if (valueEnd > size) return damaged()
    if (offset >= from) {
      into.push({
        offset,
        timestamp,
        key: keyLength === NONE ? null : entry.subarray(at, keyEnd),
        value: valueLength === NONE ? null : entry.subarray(keyEnd, valueEnd),
        headers,
      })
    }
    at = valueEnd
  }
  return at === size ? end : damaged()
}
