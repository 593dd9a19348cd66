// Entries in memory in the order of their keys, with snapshots that cost nothing until what they show is changed.

export type SortedEntry<Value> = readonly [key: string, value: Value]

export interface SortedRange {
  /** Inclusive; absent: from the first key. */
  readonly from?: string | undefined
  /** Exclusive; absent: to the last key. */
  readonly to?: string | undefined
  readonly isReverse?: boolean
}

/** Sorted, and never empty. Once a snapshot has it, it is copied before it is changed. */
interface Chunk<Value> {
  readonly entries: SortedEntry<Value>[]
  isShared: boolean
}

const maxChunk = 512

/** Keys are ordered as JavaScript orders strings: Latin-1 text as its bytes. */
export class Sorted<Value> {
  #chunks: Chunk<Value>[] = []

  get isEmpty(): boolean {
    return this.#chunks.length === 0
  }

  get(key: string): Value | undefined {
    const chunk = this.#chunks[this.#chunkOf(key)]
    const entry = chunk?.entries[placeIn(chunk, key)]
    return entry?.[0] === key ? entry[1] : undefined
  }

  set(key: string, value: Value): void {
    if (this.#chunks.length === 0) {
      this.#chunks.push({ entries: [[key, value]], isShared: false })
      return
    }
    const index = this.#chunkOf(key)
    const chunk = this.#own(index)
    const at = placeIn(chunk, key)
    const isThere = chunk.entries[at]?.[0] === key
    chunk.entries.splice(at, isThere ? 1 : 0, [key, value])
    if (chunk.entries.length <= maxChunk) return
    // Keys that come in order fill their chunks: nothing is left behind that would stay half empty.
    const from = at === maxChunk ? maxChunk : maxChunk / 2
    const entries = chunk.entries.splice(from)
    this.#chunks.splice(index + 1, 0, { entries, isShared: false })
  }

  delete(key: string): void {
    const index = this.#chunkOf(key)
    const found = this.#chunks[index]
    if (found === undefined || found.entries[placeIn(found, key)]?.[0] !== key) return
    const { entries } = this.#own(index)
    entries.splice(placeIn(found, key), 1)
    if (entries.length === 0) this.#chunks.splice(index, 1)
  }

  clear(): void {
    this.#chunks = []
  }

  /** As they are at the call, whatever is changed while they are read. */
  range(range: SortedRange): IterableIterator<SortedEntry<Value>> {
    const { from, to } = range
    const first = from === undefined ? 0 : this.#chunkOf(from)
    const end = to === undefined ? this.#chunks.length : this.#chunkOf(to) + 1
    const chunks = this.#chunks.slice(first, end)
    for (const chunk of chunks) chunk.isShared = true
    return read(chunks, range)
  }

  /** The last that does not begin behind the key; of those that all do, the first. */
  #chunkOf(key: string): number {
    let low = 0
    let high = this.#chunks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const [first] = this.#chunks[middle]?.entries[0] ?? ['']
      if (first <= key) low = middle + 1
      else high = middle
    }
    return Math.max(0, low - 1)
  }

  #own(index: number): Chunk<Value> {
    const found = this.#chunks[index] ?? { entries: [], isShared: false }
    if (!found.isShared) return found
    const own = { entries: found.entries.slice(), isShared: false }
    this.#chunks[index] = own
    return own
  }
}

function* read<Value>(
  chunks: readonly Chunk<Value>[],
  { from, to, isReverse = false }: SortedRange,
): IterableIterator<SortedEntry<Value>> {
  for (const { entries } of isReverse ? chunks.toReversed() : chunks) {
    for (const entry of isReverse ? entries.toReversed() : entries) {
      const [key] = entry
      if ((from === undefined || key >= from) && (to === undefined || key < to)) yield entry
    }
  }
}

/** Where the key is, or would be put. */
function placeIn<Value>({ entries }: Chunk<Value>, key: string): number {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const [there = ''] = entries[middle] ?? []
    if (there < key) low = middle + 1
    else high = middle
  }
  return low
}
