// Cuts chunks of bytes into lines, without copying those that lie within one chunk.

export class LineSplitter {
  #begun: Buffer[] = []
  #begunBytes = 0

  /** Of the line that has begun and not ended. */
  get begunBytes(): number {
    return this.#begunBytes
  }

  /** The lines that end in the chunk, without their line feeds. */
  *push(chunk: Buffer): Generator<Buffer> {
    let start = 0
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
      const rest = chunk.subarray(start, end)
      start = end + 1
      yield this.#begun.length === 0 ? rest : this.#take(rest)
    }
    if (start === chunk.length) return
    this.#begun.push(chunk.subarray(start))
    this.#begunBytes += chunk.length - start
  }

  /** A last line without a line feed. */
  *end(): Generator<Buffer> {
    if (this.#begun.length > 0) yield this.#take()
  }

  #take(...rest: Buffer[]): Buffer {
    const line = Buffer.concat([...this.#begun, ...rest])
    this.#begun = []
    this.#begunBytes = 0
    return line
  }
}

export const isBlank = (bytes: Buffer): boolean =>
  bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d)
