// Makes records of the batches that a broker sends for one partition, for readers: those that were committed.

import { crc32c } from '../../crc32c.js'
import { HostError } from '../../errors.js'
import type { LogRecord, TopicPartition } from '../log.js'
import { PackedRecord } from '../packed-record.js'
import * as batch from './batch.js'
import { compressions, decompress } from './compression.js'
import { batchDamaged, unsupportedFormat } from './problems.js'
import { RecordCursor } from './record-cursor.js'

/** As a fetch of committed records names it: what the producer wrote from that offset up to its marker does not count. */
export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

export interface Decoded {
  /** They lie in the bytes that were decoded, or in what was made of them. */
  readonly records: readonly LogRecord[]
  /** Where to go on: behind the last batch, its gaps and markers. */
  readonly next: number
  /** What a batch that was cut off has at least; 0: none was. When nothing else was sent, ask for so much. */
  readonly cutBytes: number
  /** Of the batches that were gone over: what follows them was cut off, or cannot be read. */
  readonly readBytes: number
  /** What these have when they are not compressed. */
  readonly unpackedBytes: number
}

/**
 * Records from offset `from` on. What lies before damage, or before what cannot be read, is handed out, and the next call, from
 * there on, throws: LOG_DAMAGED, UNSUPPORTED_FORMAT, PACKAGE_MISSING. Batches that were fetched together may be decoded a few at
 * a time, in order, with one and the same `OpenAborts`: `maxBytes` of them, not compressed, and one at least.
 */
export function decodeBatches(
  partition: TopicPartition,
  bytes: Buffer,
  from: number,
  aborted: readonly AbortedTransaction[] | OpenAborts = [],
  maxBytes = Number.POSITIVE_INFINITY,
): Decoded {
  const records: LogRecord[] = []
  const open = aborted instanceof OpenAborts ? aborted : new OpenAborts(aborted)
  let next = from
  let at = 0
  let behind = -1
  let unpackedBytes = 0
  try {
    while (bytes.length - at >= batch.PREFIX_BYTES) {
      if (unpackedBytes >= maxBytes) {
        return { records, next, cutBytes: 0, readBytes: at, unpackedBytes }
      }
      const size = batch.PREFIX_BYTES + bytes.readInt32BE(at + batch.LENGTH)
      if (size < batch.MAGIC_END) throw batchDamaged(partition, next)
      if (bytes.length - at < size)
        return { records, next, cutBytes: size, readBytes: at, unpackedBytes }
      const one = new BatchReader(partition, bytes.subarray(at, at + size), next)
      if (one.base < behind) throw batchDamaged(partition, next)
      const isRead = open.counts(one)
      unpackedBytes += isRead && one.end > from ? one.readInto(records, from) : size
      behind = one.end
      next = Math.max(next, behind)
      at += size
    }
  } catch (thrown) {
    if (next === from) throw thrown
    return { records, next, cutBytes: 0, readBytes: at, unpackedBytes }
  }
  const cutBytes = at < bytes.length ? batch.PREFIX_BYTES : 0
  return { records, next, cutBytes, readBytes: at, unpackedBytes }
}

/** One batch, whole and of the known version; its checksum was right. */
class BatchReader {
  readonly #partition: TopicPartition
  readonly #bytes: Buffer
  readonly #attributes: number
  readonly base: number
  /** The offset behind it. */
  readonly end: number

  constructor(partition: TopicPartition, bytes: Buffer, next: number) {
    this.#partition = partition
    this.#bytes = bytes
    this.base = Number(bytes.readBigInt64BE(batch.BASE_OFFSET))
    const version = bytes[batch.MAGIC] ?? 0
    if (version < batch.VERSION) {
      throw unsupportedFormat(partition, next, `records of the message format ${version}`)
    }
    if (
      version !== batch.VERSION ||
      !Number.isSafeInteger(this.base) ||
      bytes.length < batch.BATCH_HEAD_BYTES ||
      bytes.readUInt32BE(batch.CHECK) !== crc32c(bytes, batch.ATTRIBUTES)
    ) {
      throw batchDamaged(partition, next)
    }
    this.#attributes = bytes.readInt16BE(batch.ATTRIBUTES)
    this.end = this.base + bytes.readInt32BE(batch.LAST_OFFSET_DELTA) + 1
  }

  get producerId(): number {
    return Number(this.#bytes.readBigInt64BE(batch.PRODUCER_ID))
  }

  get isTransactional(): boolean {
    return (this.#attributes & batch.TRANSACTIONAL) !== 0
  }

  get isControl(): boolean {
    return (this.#attributes & batch.CONTROL) !== 0
  }

  get isAbort(): boolean {
    const cursor = this.#cursor()
    // The key of a control record: version, then kind, 16 bits each.
    return cursor.next() && cursor.keyEnd - cursor.keyAt >= 4
      ? cursor.bytes.readInt16BE(cursor.keyAt + 2) === batch.ABORT
      : false
  }

  /** Adds its records from the offset on, and returns their bytes; or throws, and adds none. */
  readInto(records: LogRecord[], from: number): number {
    const added = records.length
    const cursor = this.#cursor()
    const isLogTime = (this.#attributes & batch.LOG_APPEND_TIME) !== 0
    const maxTimestamp = Number(this.#bytes.readBigInt64BE(batch.MAX_TIMESTAMP))
    const { bytes } = cursor
    while (cursor.next()) {
      const { offset } = cursor
      if (offset < from) continue
      const timestamp = isLogTime ? maxTimestamp : cursor.timestamp
      records.push(new PackedRecord(bytes, offset, timestamp, cursor, cursor.headers()))
    }
    if (!cursor.isDamaged) return bytes.length
    records.length = added
    throw batchDamaged(this.#partition, Math.max(from, this.base))
  }

  #cursor(): RecordCursor {
    return new RecordCursor(this.#records(), {
      count: this.#bytes.readInt32BE(batch.COUNT),
      baseOffset: this.base,
      baseTimestamp: Number(this.#bytes.readBigInt64BE(batch.BASE_TIMESTAMP)),
      end: this.end,
    })
  }

  #records(): Buffer {
    const bytes = this.#bytes.subarray(batch.BATCH_HEAD_BYTES)
    const number = this.#attributes & batch.COMPRESSION_MASK
    const compression = compressions[number]
    if (compression === undefined) {
      const found = `records compressed by an unknown method (${number})`
      throw unsupportedFormat(this.#partition, this.base, found)
    }
    try {
      return decompress(bytes, compression)
    } catch (thrown) {
      if (thrown instanceof HostError) throw thrown
      throw batchDamaged(this.#partition, this.base, thrown)
    }
  }
}

/** Which producers' records do not count, batch by batch. */
export class OpenAborts {
  readonly #waiting: AbortedTransaction[]
  readonly #producers = new Set<number>()

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#waiting = aborted.toSorted((a, b) => b.firstOffset - a.firstOffset)
  }

  /** False: it has nothing to read, its transaction was aborted or it is a marker. */
  counts(one: BatchReader): boolean {
    let first = this.#waiting.at(-1)
    while (first !== undefined && first.firstOffset < one.end) {
      this.#producers.add(first.producerId)
      this.#waiting.pop()
      first = this.#waiting.at(-1)
    }
    if (one.isControl) {
      if (this.#producers.size > 0 && one.isAbort) this.#producers.delete(one.producerId)
      return false
    }
    return !(one.isTransactional && this.#producers.has(one.producerId))
  }
}
