// A record that lies in the bytes of what it was read with: nothing is made of it before somebody asks.
import type { Header, LogRecord } from './log.js'

/** Where a record's parts lie. */
export interface RecordBounds {
  readonly keyAt: number
  readonly keyEnd: number
  readonly valueAt: number
  readonly end: number
  readonly isKeyless: boolean
  readonly isTombstone: boolean
}

const noHeaders: readonly Header[] = []

export class PackedRecord implements LogRecord {
  readonly offset: number
  readonly timestamp: number
  readonly headers: readonly Header[]
  readonly #bytes: Buffer
  /** -1: there is none. */
  readonly #keyAt: number
  readonly #keyEnd: number
  /** -1: a tombstone. */
  readonly #valueAt: number
  readonly #end: number

  constructor(
    bytes: Buffer,
    offset: number,
    timestamp: number,
    { keyAt, keyEnd, valueAt, end, isKeyless, isTombstone }: RecordBounds,
    headers = noHeaders,
  ) {
    this.offset = offset
    this.timestamp = timestamp
    this.headers = headers
    this.#bytes = bytes
    this.#keyAt = isKeyless ? -1 : keyAt
    this.#keyEnd = keyEnd
    this.#valueAt = isTombstone ? -1 : valueAt
    this.#end = end
  }

  get key(): Buffer | null {
    return this.#keyAt === -1 ? null : this.#bytes.subarray(this.#keyAt, this.#keyEnd)
  }

  get value(): Buffer | null {
    return this.#valueAt === -1 ? null : this.#bytes.subarray(this.#valueAt, this.#end)
  }

  get isTombstone(): boolean {
    return this.#valueAt === -1
  }

  get valueBytes(): number {
    return this.#valueAt === -1 ? 0 : this.#end - this.#valueAt
  }

  keyText(): string {
    return this.#keyAt === -1 ? '' : this.#bytes.toString('utf8', this.#keyAt, this.#keyEnd)
  }

  valueText(): string {
    return this.#valueAt === -1 ? '' : this.#bytes.toString('utf8', this.#valueAt, this.#end)
  }
}
