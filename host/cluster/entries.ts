// Pages of a table's entries between instances, as bytes: each with its length, its keys and values as they are stored.
import type { Entry } from '../tables/store.js'

export function packPage(entries: readonly Entry[]): Buffer {
  const size = entries.reduce((sum, { key, value }) => sum + 8 + key.length + value.length, 4)
  const page = Buffer.allocUnsafe(size)
  let at = page.writeUInt32BE(size - 4)
  for (const { key, value } of entries) {
    at = page.writeUInt32BE(key.length, at)
    at = page.writeUInt32BE(value.length, at)
    at += key.copy(page, at)
    at += value.copy(page, at)
  }
  return page
}

/** What comes in pieces, page by page. */
export class PageReader {
  #bytes: Buffer = Buffer.alloc(0)
  readonly #pieces: Buffer[] = []
  #length = 0

  push(piece: Buffer): void {
    this.#pieces.push(piece)
    this.#length += piece.length
  }

  /** Part of a page is there. */
  get isWithin(): boolean {
    return this.#length > 0
  }

  /** The next page, once all of it is there. */
  next(): Entry[] | undefined {
    if (this.#length < 4) return undefined
    if (this.#bytes.length < 4) this.#join()
    const size = 4 + this.#bytes.readUInt32BE()
    if (this.#length < size) return undefined
    if (this.#bytes.length < size) this.#join()
    const page = this.#bytes.subarray(4, size)
    this.#bytes = this.#bytes.subarray(size)
    this.#length -= size
    return entriesOf(page)
  }

  #join(): void {
    this.#bytes = Buffer.concat([this.#bytes, ...this.#pieces])
    this.#pieces.length = 0
  }
}

function entriesOf(page: Buffer): Entry[] {
  const entries: Entry[] = []
  for (let at = 0; at < page.length; ) {
    const keyLength = page.readUInt32BE(at)
    const valueLength = page.readUInt32BE(at + 4)
    const key = page.subarray(at + 8, at + 8 + keyLength)
    at += 8 + keyLength + valueLength
    entries.push({ key, value: page.subarray(at - valueLength, at) })
  }
  return entries
}
