// Makes record batches of the records of one partition, ready to be sent, and to be sent again byte for byte.

import { crc32c } from '../../crc32c.js'
import type { RecordToAppend } from '../log.js'
import * as batch from './batch.js'
import { type Compression, compress, compressions, type WrittenCompression } from './compression.js'
import { varintBytes, varlongBytes, writeVarint, writeVarlong } from './varint.js'

/** An idempotent producer, and where it stands in the partition. */
export interface Sequencing {
  readonly producerId: number
  readonly producerEpoch: number
  /** Of the first record. */
  readonly baseSequence: number
  readonly isTransactional: boolean
}

export interface EncodeOptions {
  /** Absent: what is sent twice may be there twice. */
  readonly sequencing?: Sequencing
  readonly compression?: WrittenCompression
  /** A batch is no larger, unless its one record is. */
  readonly maxBatchBytes: number
}

export interface EncodedBatch {
  readonly bytes: Buffer
  readonly count: number
  /** -1: without a producer. */
  readonly baseSequence: number
}

interface Draft {
  /** Index of its first record. */
  readonly first: number
  count: number
  bytes: number
  readonly baseTimestamp: number
  maxTimestamp: number
}

/** In the records' order. A request takes one batch for each partition. */
export function encodeBatches(
  records: readonly RecordToAppend[],
  options: EncodeOptions,
): EncodedBatch[] {
  // What a record says of its own length, so that it is reckoned once.
  const bodies = new Int32Array(records.length)
  const drafts = divide(records, options.maxBatchBytes, bodies)
  const buffer = Buffer.allocUnsafe(drafts.reduce((sum, { bytes }) => sum + bytes, 0))
  let baseSequence = options.sequencing?.baseSequence ?? -1
  let at = 0
  return drafts.map((draft) => {
    const plain = buffer.subarray(at, at + draft.bytes)
    at += draft.bytes
    writeRecords(records, draft, bodies, plain)
    const bytes = finish(plain, draft, baseSequence, options)
    const encoded = { bytes, count: draft.count, baseSequence }
    if (options.sequencing !== undefined) baseSequence = sequenceAfter(baseSequence, draft.count)
    return encoded
  })
}

/** The sequence number behind so many records: behind the largest of 31 bits comes 0. */
export const sequenceAfter = (sequence: number, count: number): number =>
  (sequence + count) % 2 ** 31

function divide(
  records: readonly RecordToAppend[],
  maxBatchBytes: number,
  bodies: Int32Array,
): Draft[] {
  const drafts: Draft[] = []
  let draft: Draft | undefined
  records.forEach((record, i) => {
    const { timestamp } = record
    if (draft !== undefined) {
      const body = bodyBytes(record, draft.count, timestamp - draft.baseTimestamp)
      const bytes = draft.bytes + varintBytes(body) + body
      if (bytes <= maxBatchBytes) {
        bodies[i] = body
        draft.bytes = bytes
        draft.count++
        if (timestamp > draft.maxTimestamp) draft.maxTimestamp = timestamp
        return
      }
    }
    const body = bodyBytes(record, 0, 0)
    bodies[i] = body
    draft = {
      first: i,
      count: 1,
      bytes: batch.BATCH_HEAD_BYTES + varintBytes(body) + body,
      baseTimestamp: timestamp,
      maxTimestamp: timestamp,
    }
    drafts.push(draft)
  })
  return drafts
}

const NONE = -1

/** Behind its length. */
function bodyBytes(
  { key, value, headers }: RecordToAppend,
  offsetDelta: number,
  timestampDelta: number,
): number {
  let bytes = 1 + varlongBytes(timestampDelta) + varintBytes(offsetDelta)
  bytes += key === null ? 1 : varintBytes(key.length) + key.length
  bytes += value === null ? 1 : varintBytes(value.length) + value.length
  if (headers === undefined) return bytes + 1
  bytes += varintBytes(headers.length)
  for (const [name, content] of headers) {
    const nameBytes = Buffer.byteLength(name)
    bytes += varintBytes(nameBytes) + nameBytes + varintBytes(content.length) + content.length
  }
  return bytes
}

function writeRecords(
  records: readonly RecordToAppend[],
  { first, count, baseTimestamp }: Draft,
  bodies: Int32Array,
  target: Buffer,
): void {
  let at = batch.BATCH_HEAD_BYTES
  for (let delta = 0; delta < count; delta++) {
    const record = records[first + delta]
    if (record === undefined) return
    at = writeVarint(target, at, bodies[first + delta] ?? 0)
    // Attributes of a record: none are defined.
    target[at++] = 0
    at = writeVarlong(target, at, record.timestamp - baseTimestamp)
    at = writeVarint(target, at, delta)
    at = writeBytes(target, at, record.key)
    at = writeBytes(target, at, record.value)
    const { headers } = record
    at = writeVarint(target, at, headers === undefined ? 0 : headers.length)
    if (headers === undefined) continue
    for (const [name, content] of headers) {
      at = writeVarint(target, at, Buffer.byteLength(name))
      at += target.write(name, at)
      at = writeBytes(target, at, content)
    }
  }
}

function writeBytes(target: Buffer, start: number, bytes: Buffer | null): number {
  if (bytes === null) return writeVarint(target, start, NONE)
  const at = writeVarint(target, start, bytes.length)
  target.set(bytes, at)
  return at + bytes.length
}

/** Compresses the records where that makes them smaller, and writes what lies in front. */
function finish(
  plain: Buffer,
  { count, baseTimestamp, maxTimestamp }: Draft,
  baseSequence: number,
  { sequencing, compression: wanted = 'none' }: EncodeOptions,
): Buffer {
  const { bytes, compression } = smaller(plain, wanted)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  // The broker gives offset and leader's epoch.
  view.setBigInt64(batch.BASE_OFFSET, 0n)
  view.setInt32(batch.LENGTH, bytes.length - batch.PREFIX_BYTES)
  view.setInt32(batch.LEADER_EPOCH, NONE)
  view.setInt8(batch.MAGIC, batch.VERSION)
  const transactional = sequencing?.isTransactional === true ? batch.TRANSACTIONAL : 0
  view.setInt16(batch.ATTRIBUTES, compressions.indexOf(compression) | transactional)
  view.setInt32(batch.LAST_OFFSET_DELTA, count - 1)
  view.setBigInt64(batch.BASE_TIMESTAMP, BigInt(baseTimestamp))
  view.setBigInt64(batch.MAX_TIMESTAMP, BigInt(maxTimestamp))
  view.setBigInt64(batch.PRODUCER_ID, BigInt(sequencing?.producerId ?? NONE))
  view.setInt16(batch.PRODUCER_EPOCH, sequencing?.producerEpoch ?? NONE)
  view.setInt32(batch.BASE_SEQUENCE, baseSequence)
  view.setInt32(batch.COUNT, count)
  view.setUint32(batch.CHECK, crc32c(bytes, batch.ATTRIBUTES))
  return bytes
}

function smaller(
  plain: Buffer,
  wanted: WrittenCompression,
): { bytes: Buffer; compression: Compression } {
  if (wanted === 'none') return { bytes: plain, compression: 'none' }
  const packed = compress(plain.subarray(batch.BATCH_HEAD_BYTES), wanted)
  const length = batch.BATCH_HEAD_BYTES + packed.length
  if (length >= plain.length) return { bytes: plain, compression: 'none' }
  const bytes = Buffer.allocUnsafe(length)
  bytes.set(packed, batch.BATCH_HEAD_BYTES)
  return { bytes, compression: wanted }
}
