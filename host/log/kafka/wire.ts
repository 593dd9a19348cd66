// The primitives of Kafka's protocol, written and read: in the older form and in the compact one of flexible versions.

const high = 2 ** 32
const uuidBytes = 16

type Nullable<T> = T | null

export class Writer {
  readonly #isFlexible: boolean
  #bytes = Buffer.allocUnsafe(512)
  #length = 0

  constructor(isFlexible: boolean) {
    this.#isFlexible = isFlexible
  }

  int8(value: number): this {
    const at = this.#reserve(1)
    this.#bytes.writeInt8(value, at)
    return this
  }

  int16(value: number): this {
    const at = this.#reserve(2)
    this.#bytes.writeInt16BE(value, at)
    return this
  }

  int32(value: number): this {
    const at = this.#reserve(4)
    this.#bytes.writeInt32BE(value, at)
    return this
  }

  int64(value: number): this {
    if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no whole number`)
    const at = this.#reserve(8)
    this.#bytes.writeInt32BE(Math.floor(value / high), at)
    this.#bytes.writeUInt32BE(value >>> 0, at + 4)
    return this
  }

  boolean(value: boolean): this {
    return this.int8(value ? 1 : 0)
  }

  string(value: Nullable<string>): this {
    if (value === null) return this.#stringLength(-1)
    const length = Buffer.byteLength(value)
    this.#stringLength(length)
    const at = this.#reserve(length)
    this.#bytes.write(value, at)
    return this
  }

  bytes(value: Nullable<Uint8Array>): this {
    if (value === null) return this.#count(-1)
    this.#count(value.length)
    const at = this.#reserve(value.length)
    this.#bytes.set(value, at)
    return this
  }

  /** As text of 22 characters, the form in which Kafka's tools show it; null: none. */
  uuid(text: Nullable<string>): this {
    const at = this.#reserve(uuidBytes)
    this.#bytes.fill(0, at, at + uuidBytes)
    if (text !== null) this.#bytes.write(text, at, uuidBytes, 'base64url')
    return this
  }

  array<T>(items: Nullable<readonly T[]>, write: (item: T) => unknown): this {
    this.#count(items === null ? -1 : items.length)
    for (const item of items ?? []) write(item)
    return this
  }

  /** The end of a structure: flexible versions have room there for fields of which we send none. */
  tags(): this {
    return this.#isFlexible ? this.int8(0) : this
  }

  /** What was written. */
  take(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  #stringLength(length: number): this {
    return this.#isFlexible ? this.#varint(length + 1) : this.int16(length)
  }

  #count(count: number): this {
    return this.#isFlexible ? this.#varint(count + 1) : this.int32(count)
  }

  #varint(value: number): this {
    let rest = value
    while (rest > 0x7f) {
      const at = this.#reserve(1)
      this.#bytes[at] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    const at = this.#reserve(1)
    this.#bytes[at] = rest
    return this
  }

  #reserve(bytes: number): number {
    const at = this.#length
    this.#length += bytes
    if (this.#length > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.#length, this.#bytes.length * 2))
      this.#bytes.copy(grown, 0, 0, at)
      this.#bytes = grown
    }
    return at
  }
}

export class Reader {
  readonly #isFlexible: boolean
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer, isFlexible: boolean) {
    this.#bytes = bytes
    this.#isFlexible = isFlexible
  }

  int8(): number {
    return this.#bytes.readInt8(this.#skip(1))
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#skip(2))
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#skip(4))
  }

  int64(): number {
    const at = this.#skip(8)
    const value = this.#bytes.readInt32BE(at) * high + this.#bytes.readUInt32BE(at + 4)
    if (!Number.isSafeInteger(value)) throw new RangeError('a 64-bit number beyond 2^53 was read')
    return value
  }

  boolean(): boolean {
    return this.int8() !== 0
  }

  string(): Nullable<string> {
    const length = this.#isFlexible ? this.#varint() - 1 : this.int16()
    if (length < 0) return null
    const at = this.#skip(length)
    return this.#bytes.toString('utf8', at, at + length)
  }

  /** Where null is not allowed. */
  text(): string {
    return this.string() ?? ''
  }

  /** A view of what was received, not a copy. */
  bytes(): Nullable<Buffer> {
    const length = this.#count()
    if (length < 0) return null
    const at = this.#skip(length)
    return this.#bytes.subarray(at, at + length)
  }

  uuid(): string {
    const at = this.#skip(uuidBytes)
    return this.#bytes.toString('base64url', at, at + uuidBytes)
  }

  /** Empty for null, too. */
  array<T>(read: () => T): T[] {
    const items: T[] = []
    for (let left = this.#count(); left > 0; left--) items.push(read())
    return items
  }

  /** The end of a structure. `read` gets each field there, with a reader of its own; unknown ones are passed over. */
  tags(read?: (tag: number, field: Reader) => void): void {
    if (!this.#isFlexible) return
    for (let left = this.#varint(); left > 0; left--) {
      const tag = this.#varint()
      const length = this.#varint()
      const at = this.#skip(length)
      read?.(tag, new Reader(this.#bytes.subarray(at, at + length), true))
    }
  }

  #count(): number {
    return this.#isFlexible ? this.#varint() - 1 : this.int32()
  }

  #varint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes.readUInt8(this.#skip(1))
      // No shift operator: it would make a negative number of the 32nd bit.
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw new RangeError('a length of more than five bytes was read')
  }

  #skip(bytes: number): number {
    const at = this.#at
    this.#at += bytes
    if (this.#at > this.#bytes.length) {
      throw new RangeError(`${bytes} bytes at ${at} were to be read, of ${this.#bytes.length}`)
    }
    return at
  }
}
