// The store port in memory: the same order of keys, and copies wherever a disk would make them.
import { HostError } from '../errors.js'
import { Sorted, type SortedEntry } from './sorted.js'
import type {
  Change,
  CopiedPartition,
  Entry,
  PartitionMeta,
  PartitionStore,
  RangeOptions,
  TableStore,
} from './store.js'

const pageSize = 1000

/** What a disk would keep while nobody has the store open. Values by their key's bytes as Latin-1 text, which sorts alike. */
interface Kept {
  readonly values: Sorted<Buffer>
  meta: PartitionMeta | undefined
}

export interface MemoryStore extends TableStore {
  /** Another handle on the same content, as after a restart: it lives on when this one is disposed of. */
  reopen(): MemoryStore
}

export function createMemoryStore(): MemoryStore {
  return new MemoryTable(new Map())
}

class MemoryTable implements MemoryStore {
  readonly #kept: Map<string, Kept>
  #isClosed = false

  constructor(kept: Map<string, Kept>) {
    this.#kept = kept
  }

  reopen(): MemoryStore {
    return new MemoryTable(this.#kept)
  }

  partition(partition: number): PartitionStore {
    return this.#open(String(partition))
  }

  copy({ topic, partition }: CopiedPartition): PartitionStore {
    return this.#open(`${partition} ${topic}`)
  }

  async copies(): Promise<readonly CopiedPartition[]> {
    this.#assertOpen()
    return [...this.#kept]
      .filter(
        ([name, { meta, values }]) => /\D/.test(name) && (meta !== undefined || !values.isEmpty),
      )
      .map(([name]) => {
        const [partition = '', topic = ''] = name.split(' ', 2)
        return { topic, partition: Number(partition) }
      })
  }

  #open(name: string): PartitionStore {
    let kept = this.#kept.get(name)
    if (kept === undefined) {
      kept = { values: new Sorted(), meta: undefined }
      this.#kept.set(name, kept)
    }
    return new MemoryPartition(kept, () => this.#assertOpen())
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new HostError('STORE_FAILED', 'the store in memory is closed')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
  }
}

class MemoryPartition implements PartitionStore {
  readonly #kept: Kept
  readonly #assertOpen: () => void

  constructor(kept: Kept, assertOpen: () => void) {
    this.#kept = kept
    this.#assertOpen = assertOpen
  }

  get(key: Buffer): Buffer | undefined {
    this.#assertOpen()
    const value = this.#kept.values.get(key.toString('latin1'))
    return value && Buffer.from(value)
  }

  meta(): PartitionMeta | undefined {
    this.#assertOpen()
    return structuredClone(this.#kept.meta)
  }

  async write(changes: Iterable<Change>, meta: PartitionMeta): Promise<void> {
    this.#assertOpen()
    // Read to its end first: when the iterable throws, nothing has been written.
    for (const [key, value] of [...changes]) {
      if (value === null) this.#kept.values.delete(key.toString('latin1'))
      else this.#kept.values.set(key.toString('latin1'), Buffer.from(value))
    }
    this.#kept.meta = structuredClone(meta)
  }

  async wipe(): Promise<void> {
    this.#assertOpen()
    this.#kept.meta = undefined
    this.#kept.values.clear()
  }

  isThere(): boolean {
    this.#assertOpen()
    return this.#kept.meta !== undefined || !this.#kept.values.isEmpty
  }

  async drop(): Promise<void> {
    await this.wipe()
  }

  range({ from, to, isReverse = false }: RangeOptions = {}): AsyncIterable<Entry[]> {
    this.#assertOpen()
    const [first, end] = [from?.toString('latin1'), to?.toString('latin1')]
    return new Pages(this.#kept.values.range({ from: first, to: end, isReverse }), this.#assertOpen)
  }
}

class Pages implements AsyncIterableIterator<Entry[]> {
  readonly #found: IterableIterator<SortedEntry<Buffer>>
  readonly #assertOpen: () => void

  constructor(found: IterableIterator<SortedEntry<Buffer>>, assertOpen: () => void) {
    this.#found = found
    this.#assertOpen = assertOpen
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Entry[], undefined>> {
    this.#assertOpen()
    const page: Entry[] = []
    while (page.length < pageSize) {
      const next = this.#found.next()
      if (next.done === true) break
      const [key, value] = next.value
      page.push({ key: Buffer.from(key, 'latin1'), value: Buffer.from(value) })
    }
    return page.length === 0 ? await this.return() : { done: false, value: page }
  }

  async return(): Promise<IteratorResult<Entry[], undefined>> {
    this.#found.return?.()
    return { done: true, value: undefined }
  }
}
