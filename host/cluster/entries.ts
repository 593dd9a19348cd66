// Pages of a table's entries between instances, as bytes: each with its length, its keys and values as they are stored.
import type { Entry } from '../tables/store.js'
import { BlockReader, sized } from './blocks.js'

export function packPage(entries: readonly Entry[]): Buffer {
  const size = entries.reduce((sum, { key, value }) => sum + 8 + key.length + value.length, 0)
  const page = sized(size)
  let at = 4
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
  readonly #blocks = new BlockReader()

  push(piece: Buffer): void {
    this.#blocks.push(piece)
  }

  /** Part of a page is there. */
  get isWithin(): boolean {
    return this.#blocks.isWithin
  }

  /** The next page, once all of it is there. */
  next(): Entry[] | undefined {
    const page = this.#blocks.next()
    return page && entriesOf(page)
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
