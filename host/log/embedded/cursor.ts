// Goes over the records of an entry without copying them; every length is looked at before it is used.
import { RECORD_BYTES } from '../limits.js'
import type { Header } from '../log.js'
import { ENTRY_HEAD_BYTES, type EntryHead, NONE } from './entry.js'

export const DELTA_BYTES = 4
export const FOUND_BYTES = 8

/** What it says is of the record that `next` has gone to. */
export class RecordCursor {
  readonly #entry: Buffer
  readonly #view: DataView
  readonly #head: EntryHead
  readonly #base: number
  #index = 0
  #at = ENTRY_HEAD_BYTES
  #headerCount = 0
  offset = 0
  /** Where the record lies in the entry. */
  start = 0
  end = 0
  keyAt = 0
  keyEnd = 0
  isKeyless = false
  isTombstone = false
  /** When compaction first found the tombstone; 0: it has not yet. */
  foundAt = 0
  isDamaged = false

  /** The entry has been checked by its sums: what is found wrong here was written wrong. */
  constructor(entry: Buffer, head: EntryHead, base: number) {
    this.#entry = entry
    this.#view = new DataView(entry.buffer, entry.byteOffset, entry.length)
    this.#head = head
    this.#base = base
  }

  /** False: there is no further one, or `isDamaged`. */
  next(): boolean {
    const { count, isDense } = this.#head
    const size = this.#entry.length
    let at = this.#at
    if (this.#index === count) {
      this.isDamaged = at !== size
      return false
    }
    if (at + RECORD_BYTES + (isDense ? 0 : DELTA_BYTES) > size) return this.#damaged()
    this.offset = this.#base + (isDense ? this.#index : this.#view.getUint32(at, true))
    if (!isDense) at += DELTA_BYTES
    this.start = at
    const keyLength = this.#view.getUint32(at, true)
    const valueLength = this.#view.getUint32(at + 4, true)
    this.#headerCount = this.#view.getUint16(at + 16, true)
    at += RECORD_BYTES
    for (let i = 0; i < this.#headerCount; i++) {
      if (at + 2 > size) return this.#damaged()
      at += 2 + this.#view.getUint16(at, true)
      if (at + 4 > size) return this.#damaged()
      at += 4 + this.#view.getUint32(at, true)
      if (at > size) return this.#damaged()
    }
    this.isKeyless = keyLength === NONE
    this.isTombstone = valueLength === NONE
    this.keyAt = at
    this.keyEnd = this.isKeyless ? at : at + keyLength
    this.end = this.isTombstone ? this.keyEnd : this.keyEnd + valueLength
    this.#at = this.end
    this.foundAt = 0
    if (this.isTombstone && !isDense) this.#at += FOUND_BYTES
    if (this.#at > size) return this.#damaged()
    if (this.#at > this.end) this.foundAt = this.#view.getFloat64(this.end, true)
    this.#index++
    return true
  }

  get timestamp(): number {
    return this.#view.getFloat64(this.start + 8, true)
  }

  get valueAt(): number {
    return this.keyEnd
  }

  get key(): Buffer | null {
    return this.isKeyless ? null : this.#entry.subarray(this.keyAt, this.keyEnd)
  }

  /** For maps: the same for the same bytes. */
  latin1Key(): string {
    return this.#entry.toString('latin1', this.keyAt, this.keyEnd)
  }

  get value(): Buffer | null {
    return this.isTombstone ? null : this.#entry.subarray(this.keyEnd, this.end)
  }

  /** Undefined: it has none. */
  headers(): Header[] | undefined {
    if (this.#headerCount === 0) return undefined
    const headers: Header[] = []
    let at = this.start + RECORD_BYTES
    for (let i = 0; i < this.#headerCount; i++) {
      const nameEnd = at + 2 + this.#view.getUint16(at, true)
      const contentEnd = nameEnd + 4 + this.#view.getUint32(nameEnd, true)
      const name = this.#entry.toString('utf8', at + 2, nameEnd)
      headers.push([name, this.#entry.subarray(nameEnd + 4, contentEnd)])
      at = contentEnd
    }
    return headers
  }

  #damaged(): boolean {
    this.isDamaged = true
    return false
  }
}
