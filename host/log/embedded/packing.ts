// A request to append: records packed once, by the thread that appends, into the entries that are stored.

import { RECORD_BYTES } from '../limits.js'
import type { RecordToAppend } from '../log.js'
import { checkRecord } from '../problems.js'
import { beginEntry, ENTRY_BYTES, ENTRY_HEAD_BYTES, NONE } from './entry.js'

// A request: sections u32, then for each: topic u32, partition u32, bytes u32; then their entries, in that order.
const SECTION_BYTES = 12

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
        bytes: ENTRY_HEAD_BYTES,
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
    beginEntry(view, at, draft.count, draft.newest)
    draft.at = at + ENTRY_HEAD_BYTES
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
