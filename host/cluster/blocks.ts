// Blocks of bytes, each with its length before it, that come in pieces of any size.

export function sized(length: number): Buffer {
  const block = Buffer.allocUnsafe(4 + length)
  block.writeUInt32BE(length)
  return block
}

export class BlockReader {
  #bytes: Buffer = Buffer.alloc(0)
  readonly #pieces: Buffer[] = []
  #length = 0

  push(piece: Buffer): void {
    this.#pieces.push(piece)
    this.#length += piece.length
  }

  /** Part of a block is there. */
  get isWithin(): boolean {
    return this.#length > 0
  }

  /** Of the next block, once that is there. */
  get nextLength(): number | undefined {
    if (this.#length < 4) return undefined
    if (this.#bytes.length < 4) this.#join()
    return this.#bytes.readUInt32BE()
  }

  /** The next block without its length, once all of it is there. */
  next(): Buffer | undefined {
    const length = this.nextLength
    if (length === undefined || this.#length < 4 + length) return undefined
    if (this.#bytes.length < 4 + length) this.#join()
    const block = this.#bytes.subarray(4, 4 + length)
    this.#bytes = this.#bytes.subarray(4 + length)
    this.#length -= 4 + length
    return block
  }

  #join(): void {
    this.#bytes = Buffer.concat([this.#bytes, ...this.#pieces])
    this.#pieces.length = 0
  }
}
