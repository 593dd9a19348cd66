// What of a record is moved, and a running checksum over it: of a partition's records in their order.
import { createHash } from 'node:crypto'
import type { Header, LogRecord, TopicKind } from '../log/log.js'
import { withoutPositions } from '../tables/positions.js'

/** A changelog's record may say where its function's inputs go on: as offsets of the log that it was written to. */
export const movedHeaders = (record: LogRecord, kind: TopicKind): readonly Header[] =>
  kind === 'table' ? withoutPositions(record.headers) : record.headers

/** One call of the hash for many records: each costs more than the bytes of a small record. */
const scratchBytes = 16 * 1024
const numbersBytes = 24

export class RecordDigest {
  readonly #kind: TopicKind
  readonly #hash = createHash('sha256')
  readonly #scratch = Buffer.allocUnsafe(scratchBytes)
  #at = 0

  constructor(kind: TopicKind) {
    this.#kind = kind
  }

  add(record: LogRecord): void {
    const { key, value, timestamp } = record
    const headers = movedHeaders(record, this.#kind)
    if (this.#at + numbersBytes > scratchBytes) this.#flush()
    const at = this.#at
    this.#scratch.writeDoubleLE(timestamp, at)
    // Lengths first: other records with the same bytes in a row are others.
    this.#scratch.writeInt32LE(key === null ? -1 : key.length, at + 8)
    this.#scratch.writeInt32LE(value === null ? -1 : value.length, at + 12)
    this.#scratch.writeInt32LE(headers.length, at + 16)
    this.#at = at + 20
    if (key !== null) this.#bytes(key)
    if (value !== null) this.#bytes(value)
    for (const [name, content] of headers) {
      this.#sized(Buffer.from(name))
      this.#sized(content)
    }
  }

  /** Hexadecimal. Nothing can be added any more. */
  end(): string {
    this.#flush()
    return this.#hash.digest('hex')
  }

  #sized(bytes: Buffer): void {
    if (this.#at + 4 > scratchBytes) this.#flush()
    this.#at = this.#scratch.writeInt32LE(bytes.length, this.#at)
    this.#bytes(bytes)
  }

  #bytes(bytes: Buffer): void {
    if (this.#at + bytes.length > scratchBytes) {
      this.#flush()
      if (bytes.length > scratchBytes) {
        this.#hash.update(bytes)
        return
      }
    }
    this.#scratch.set(bytes, this.#at)
    this.#at += bytes.length
  }

  #flush(): void {
    // Hashed before the call returns: the scratch may be written anew.
    this.#hash.update(this.#scratch.subarray(0, this.#at))
    this.#at = 0
  }
}

/** Of one record. */
export function recordChecksum(record: LogRecord, kind: TopicKind): string {
  const digest = new RecordDigest(kind)
  digest.add(record)
  return digest.end()
}

/** Of partitions, or of whatever has checksums in an order. */
export function checksumOf(parts: Iterable<string>): string {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(`${part}\n`)
  return hash.digest('hex')
}

export function isSameRecord(one: LogRecord, other: LogRecord, kind: TopicKind): boolean {
  if (one.timestamp !== other.timestamp) return false
  if (!isSame(one.key, other.key) || !isSame(one.value, other.value)) return false
  const headers = movedHeaders(one, kind)
  const others = movedHeaders(other, kind)
  return (
    headers.length === others.length &&
    headers.every(([name, content], i) => {
      const [otherName, otherContent] = others[i] ?? []
      return name === otherName && otherContent !== undefined && content.equals(otherContent)
    })
  )
}

const isSame = (one: Buffer | null, other: Buffer | null): boolean =>
  one === null || other === null ? one === other : one.equals(other)
