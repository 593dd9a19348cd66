// Goes through bytes as LevelDB packs them; what does not fit throws, and is damage to whoever reads.

export class Cursor {
  readonly bytes: Buffer
  at: number
  readonly #end: number

  constructor(bytes: Buffer, at = 0, end = bytes.length) {
    this.bytes = bytes
    this.at = at
    this.#end = end
  }

  get isAtEnd(): boolean {
    return this.at >= this.#end
  }

  varint(): number {
    let value = 0
    for (let factor = 1; factor <= 2 ** 56; factor *= 128) {
      const byte = this.take(1).readUInt8(0)
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
    throw new RangeError('a number does not end')
  }

  take(length: number): Buffer {
    const end = this.at + length
    if (end > this.#end) throw new RangeError('something is longer than what holds it')
    const taken = this.bytes.subarray(this.at, end)
    this.at = end
    return taken
  }

  string(): Buffer {
    return this.take(this.varint())
  }
}
