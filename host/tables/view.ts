// The read side of a function's table: single keys synchronously where the store is open, ranges merged over the partitions.
import { type Sample, type SampleLimits, samplePartition } from './sample.js'
import type { Entry, RangeOptions, TableStore } from './store.js'

export interface ViewRange extends Omit<RangeOptions, 'isReverse'> {
  /** Absent: all. */
  readonly partitions?: readonly number[]
}

/** What a key has, or a promise of it where the function's thread has to be asked. */
export type FoundValue = Buffer | undefined | Promise<Buffer | undefined>

export interface TableView {
  get(partition: number, key: Buffer): FoundValue
  /** Every `get` asks the function's thread. */
  readonly isRemote?: boolean
  /** In key order over the partitions. */
  range(options?: ViewRange): AsyncIterable<Entry[]>
  /** Values from all over the table, from each partition a like share of as many as are allowed. */
  sample(limits: SampleLimits): Promise<Sample[]>
}

export function createTableView(
  store: Pick<TableStore, 'partition'>,
  partitions: number,
): TableView {
  const stores = Array.from({ length: partitions }, (_, partition) => store.partition(partition))
  return {
    get(partition, key) {
      return stores[partition]?.get(key)
    },
    range({ partitions: of, ...options } = {}) {
      const wanted = of === undefined ? stores : stores.filter((_, each) => of.includes(each))
      // All snapshots are taken now, at one time, not when the first page is asked for.
      return mergeRanges(wanted.map((store) => store.range(options)))
    },
    async sample({ maxValues, maxBytes }) {
      const share = { maxValues: maxValues / partitions, maxBytes: maxBytes / partitions }
      const samples = stores.map(async (store, partition) =>
        (await samplePartition(store, share)).map((entry) => ({ ...entry, partition })),
      )
      return (await Promise.all(samples)).flat()
    },
  }
}

/** Ranges of different keys, each in key order, as one. */
export function mergeRanges(ranges: readonly AsyncIterable<Entry[]>[]): AsyncIterable<Entry[]> {
  const [only] = ranges
  if (ranges.length === 1 && only !== undefined) return only
  return new MergedRange(ranges.map((range) => new Source(range[Symbol.asyncIterator]())))
}

const page = 1000

/** One partition's range, and where the merge stands in it. */
class Source {
  readonly #pages: AsyncIterator<Entry[]>
  #page: Entry[] = []
  #at = 0

  constructor(pages: AsyncIterator<Entry[]>) {
    this.#pages = pages
  }

  get head(): Entry | undefined {
    return this.#page[this.#at]
  }

  /** False when the page is used up: `load` the next. */
  step(): boolean {
    this.#at += 1
    return this.#at < this.#page.length
  }

  /** False at the end of the range. */
  async load(): Promise<boolean> {
    this.#at = 0
    this.#page = []
    while (this.#page.length === 0) {
      const next = await this.#pages.next()
      if (next.done) return false
      this.#page = next.value
    }
    return true
  }

  async close(): Promise<void> {
    await this.#pages.return?.()
  }
}

class MergedRange implements AsyncIterableIterator<Entry[]> {
  readonly #sources: readonly Source[]
  /** A binary heap by head key; its root has the smallest. Undefined before the first page. */
  #heap: Source[] | undefined

  constructor(sources: readonly Source[]) {
    this.#sources = sources
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Entry[], undefined>> {
    try {
      this.#heap ??= await this.#fill()
      const merged = await this.#merge(this.#heap)
      return merged.length === 0 ? await this.return() : { done: false, value: merged }
    } catch (error) {
      await this.return()
      throw error
    }
  }

  async return(): Promise<IteratorResult<Entry[], undefined>> {
    this.#heap = []
    await Promise.all(this.#sources.map((source) => source.close()))
    return { done: true, value: undefined }
  }

  async #fill(): Promise<Source[]> {
    const loaded = await Promise.all(this.#sources.map((source) => source.load()))
    // Sorted is a heap.
    return this.#sources.filter((_, index) => loaded[index]).sort(byHead)
  }

  async #merge(heap: Source[]): Promise<Entry[]> {
    const merged: Entry[] = []
    for (let root = heap[0]; root !== undefined && merged.length < page; root = heap[0]) {
      if (root.head !== undefined) merged.push(root.head)
      if (!root.step()) {
        if (!(await root.load())) {
          const last = heap.pop()
          if (last === undefined || last === root) continue
          heap[0] = last
        }
      }
      sink(heap)
    }
    return merged
  }
}

function byHead(a: Source, b: Source): number {
  if (a.head === undefined || b.head === undefined) return 0
  return Buffer.compare(a.head.key, b.head.key)
}

/** Puts the root where it belongs. */
function sink(heap: Source[]): void {
  for (let at = 0; ; ) {
    let smallest = at
    for (const child of [2 * at + 1, 2 * at + 2]) {
      const [a, b] = [heap[child], heap[smallest]]
      if (a !== undefined && b !== undefined && byHead(a, b) < 0) smallest = child
    }
    if (smallest === at) return
    const [a, b] = [heap[at], heap[smallest]]
    if (a === undefined || b === undefined) return
    heap[at] = b
    heap[smallest] = a
    at = smallest
  }
}
