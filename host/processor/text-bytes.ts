// Bytes of many short texts, side by side in few buffers: one of its own for each takes several times as long to make.

const chunkBytes = 64 * 1024
/** In UTF-8 a code unit has three bytes at most. */
const unitBytes = 3
/** Longer ones gain nothing by being together. */
const maxTogetherBytes = 4 * 1024
/** Up to so many characters a loop is faster than a call of Node's. */
const maxLooped = 48

export class TextBytes {
  #expectedBytes: number
  #chunk = Buffer.alloc(0)
  #at = 0

  /** `expectedBytes`: of all texts together, about. Few of them shall not take a whole chunk. */
  constructor(expectedBytes: number) {
    this.#expectedBytes = expectedBytes
  }

  /** As `Buffer.from(text)` does. */
  of(text: string): Buffer {
    const maxBytes = text.length * unitBytes
    if (maxBytes > maxTogetherBytes) return Buffer.from(text)
    if (this.#chunk.length - this.#at < maxBytes) this.#grow(maxBytes)
    const from = this.#at
    this.#at = write(this.#chunk, from, text)
    return this.#chunk.subarray(from, this.#at)
  }

  #grow(leastBytes: number): void {
    this.#expectedBytes -= this.#at
    const bytes = Math.max(leastBytes, Math.min(this.#expectedBytes, chunkBytes))
    // Not of Node's pool, whose slabs are smaller.
    this.#chunk = Buffer.allocUnsafeSlow(bytes)
    this.#at = 0
  }
}

/** Where it ends. */
function write(target: Buffer, start: number, text: string): number {
  const { length } = text
  if (length > maxLooped) return start + target.write(text, start)
  for (let i = 0; i < length; i += 1) {
    const unit = text.charCodeAt(i)
    // From its beginning: what was written is written again.
    if (unit > 0x7f) return start + target.write(text, start)
    target[start + i] = unit
  }
  return start + length
}
