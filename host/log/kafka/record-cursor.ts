// Goes over the records of a batch without copying them; nothing is told of one whose lengths do not fit.
import type { Header } from '../log.js'
import { VarintReader } from './varint.js'

export interface BatchBounds {
  readonly count: number
  readonly baseOffset: number
  readonly baseTimestamp: number
  /** The offset behind the batch. */
  readonly end: number
}

const noBytes = Buffer.alloc(0)

/** What it says is of the record that `next` has gone to. */
export class RecordCursor {
  readonly bytes: Buffer
  readonly #batch: BatchBounds
  readonly #reader: VarintReader
  #index = 0
  #headersAt = 0
  #headerCount = 0
  offset: number
  timestamp = 0
  keyAt = 0
  keyEnd = 0
  valueAt = 0
  /** Of the value. */
  end = 0
  isKeyless = false
  isTombstone = false
  isDamaged = false

  /** The batch has been checked by its sum: what is found wrong here was written wrong. */
  constructor(bytes: Buffer, batch: BatchBounds) {
    this.bytes = bytes
    this.#batch = batch
    this.#reader = new VarintReader(bytes, 0)
    this.offset = batch.baseOffset - 1
  }

  /** False: there is no further one, or `isDamaged`. */
  next(): boolean {
    const { count, baseOffset, baseTimestamp, end } = this.#batch
    const reader = this.#reader
    if (this.#index >= count) {
      this.isDamaged = count < 0 || reader.at !== this.bytes.length
      return false
    }
    const length = reader.varint()
    const recordEnd = reader.at + length
    if (length < 0 || recordEnd > this.bytes.length) return this.#damaged()
    // Attributes: none are defined.
    reader.at++
    this.timestamp = baseTimestamp + reader.varlong()
    const offset = baseOffset + reader.varint()
    const keyLength = reader.varint()
    this.isKeyless = keyLength < 0
    this.keyAt = reader.at
    this.keyEnd = this.isKeyless ? this.keyAt : this.keyAt + keyLength
    reader.at = this.keyEnd
    const valueLength = reader.varint()
    this.isTombstone = valueLength < 0
    this.valueAt = reader.at
    this.end = this.isTombstone ? this.valueAt : this.valueAt + valueLength
    reader.at = this.end
    this.#headerCount = reader.varint()
    this.#headersAt = reader.at
    if (this.#headerCount !== 0 && !this.#passHeaders(recordEnd)) return this.#damaged()
    // It only goes forward: a length that was too long has brought it beyond the end.
    if (reader.at !== recordEnd || offset <= this.offset || offset >= end) return this.#damaged()
    this.offset = offset
    this.#index++
    return true
  }

  /** Undefined: it has none. */
  headers(): Header[] | undefined {
    if (this.#headerCount === 0) return undefined
    const headers: Header[] = []
    const reader = new VarintReader(this.bytes, this.#headersAt)
    for (let i = 0; i < this.#headerCount; i++) {
      const nameLength = reader.varint()
      const nameAt = reader.at
      reader.at += nameLength
      const name = this.bytes.toString('utf8', nameAt, reader.at)
      const length = reader.varint()
      // Kafka has headers without a value; here they have an empty one.
      headers.push([
        name,
        length < 0 ? noBytes : this.bytes.subarray(reader.at, reader.at + length),
      ])
      if (length > 0) reader.at += length
    }
    return headers
  }

  #passHeaders(recordEnd: number): boolean {
    const reader = this.#reader
    for (let i = 0; i < this.#headerCount; i++) {
      const nameLength = reader.varint()
      if (nameLength < 0) return false
      reader.at += nameLength
      const length = reader.varint()
      if (length > 0) reader.at += length
      if (reader.at > recordEnd) return false
    }
    return this.#headerCount > 0
  }

  #damaged(): boolean {
    this.isDamaged = true
    return false
  }
}
