// A function's store over an ordered map from bytes to bytes: whose keys are whose, checksums, wipes, and what is refused when.
import type { HostError } from '../errors.js'
import { Checked, unseal } from './checked.js'
import { copies, PartitionKeys, storeLayout } from './layout.js'
import type {
  Change,
  CopiedPartition,
  Entry,
  PartitionMeta,
  PartitionStore,
  RangeOptions,
  TableStore,
} from './store.js'

export interface Bounds {
  /** Inclusive. */
  readonly gte: Buffer
  /** Exclusive. */
  readonly lt: Buffer
}

export type Pair = readonly [key: Buffer, value: Buffer]

/** Changes of which all are written, or none. What it is given is good until the call returns. */
export interface ByteBatch {
  put(key: Buffer, value: Buffer): unknown
  del(key: Buffer): unknown
  write(): Promise<void>
  /** In place of `write`. */
  close(): Promise<void>
}

/** What keeps the bytes. A `get` is the caller's own. What it throws is what `failure` made of it. */
export interface Bytes {
  get(key: Buffer): Buffer | undefined
  batch(): ByteBatch
  del(key: Buffer): Promise<void>
  clear(bounds: Bounds): Promise<void>
  /** Frees the room of what was deleted there, beside what is written. Absent: it does so by itself. */
  reclaim?(bounds: Bounds): Promise<void>
  /** Pages that are not empty, over a snapshot taken at the call. */
  range(bounds: Bounds, isReverse: boolean): AsyncIterableIterator<readonly Pair[]>
  close(): Promise<void>
  /** Ours stay as they are. */
  failure(thrown: unknown, done: 'opened' | 'read' | 'written' | 'closed'): HostError
  /** What is there is not what was written. */
  damaged(cause: unknown): HostError
  closed(): HostError
}

export class KeyedStore implements TableStore {
  readonly #bytes: Bytes
  readonly #writes: Writes
  readonly #partitions = new Map<number | string, KeyedPartition>()
  #closing: Promise<void> | undefined

  constructor(bytes: Bytes) {
    this.#bytes = bytes
    this.#writes = new Writes(bytes)
  }

  partition(partition: number): PartitionStore {
    return this.#open(partition, () => new PartitionKeys(partition))
  }

  copy({ topic, partition }: CopiedPartition): PartitionStore {
    return this.#open(`${partition} ${topic}`, () => new PartitionKeys(partition, topic))
  }

  async copies(): Promise<readonly CopiedPartition[]> {
    if (this.#closing !== undefined) throw this.#bytes.closed()
    const found = new Map<string, CopiedPartition>()
    for await (const page of this.#bytes.range(copies.bounds, false)) {
      for (const [key] of page) found.set(key.toString('latin1', 1), copies.of(key))
    }
    return [...found.values()]
  }

  #open(name: number | string, keys: () => PartitionKeys): PartitionStore {
    let found = this.#partitions.get(name)
    if (found === undefined) {
      const isClosing = () => this.#closing !== undefined
      found = new KeyedPartition(this.#bytes, keys(), this.#writes, isClosing)
      this.#partitions.set(name, found)
    }
    return found
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#writes.settled()
    await this.#bytes.close()
  }
}

/**
 * All writes of a store, one after another: two of one partition at once could land in either order, and what LevelDB has written
 * behind a record that a full disk has torn may be lost when it is opened again. So after one that failed there are none.
 */
class Writes {
  readonly #bytes: Bytes
  readonly #checked = new Checked()
  #last: Promise<void> = Promise.resolve()
  #failure: HostError | undefined

  constructor(bytes: Bytes) {
    this.#bytes = bytes
  }

  seal(key: Buffer, value: Buffer): Buffer {
    return this.#checked.seal(key, value)
  }

  async run(write: () => Promise<void>): Promise<void> {
    const written = this.#last.then(async () => {
      if (this.#failure !== undefined) throw this.#failure
      try {
        await write()
      } catch (cause) {
        this.#failure = this.#bytes.failure(cause, 'written')
        throw this.#failure
      }
    })
    this.#last = written.catch(() => {})
    await written
  }

  /** Resolves when what was begun has ended, well or not. */
  async settled(): Promise<void> {
    await this.#last
  }
}

class KeyedPartition implements PartitionStore {
  readonly #bytes: Bytes
  readonly #keys: PartitionKeys
  readonly #writes: Writes
  readonly #isClosing: () => boolean

  constructor(bytes: Bytes, keys: PartitionKeys, writes: Writes, isClosing: () => boolean) {
    this.#bytes = bytes
    this.#keys = keys
    this.#writes = writes
    this.#isClosing = isClosing
  }

  get(key: Buffer): Buffer | undefined {
    const at = this.#keys.value(key)
    const stored = this.#bytes.get(at)
    if (stored === undefined) return undefined
    return unseal(at, stored) ?? mismatch(this.#bytes)
  }

  meta(): PartitionMeta | undefined {
    if (this.#bytes.get(this.#keys.wiping) !== undefined) return undefined
    const stored = this.#bytes.get(this.#keys.meta)
    if (stored === undefined) return undefined
    try {
      const text = unseal(this.#keys.meta, stored)
      if (text !== undefined) return JSON.parse(text.toString())
      // Of a host before there were checksums: recovery sees the layout, and wipes it.
      const meta: PartitionMeta = JSON.parse(stored.toString())
      if (meta.layout < storeLayout) return meta
    } catch (cause) {
      throw this.#bytes.damaged(cause)
    }
    return mismatch(this.#bytes)
  }

  async write(changes: Iterable<Change>, meta: PartitionMeta): Promise<void> {
    const batch = this.#batch()
    try {
      for (const [key, value] of changes) {
        if (value === null) batch.del(this.#keys.value(key))
        else this.#put(batch, this.#keys.value(key), value)
      }
      this.#put(batch, this.#keys.meta, Buffer.from(JSON.stringify(meta)))
    } catch (cause) {
      await batch.close()
      throw cause
    }
    await this.#writes.run(() => batch.write())
  }

  async wipe(): Promise<void> {
    const mark = this.#mark()
    await this.#writes.run(async () => {
      await mark.write()
      await this.#bytes.clear(this.#keys.bounds())
      await this.#bytes.del(this.#keys.wiping)
    })
  }

  isThere(): boolean {
    const { wiping, meta } = this.#keys
    return this.#bytes.get(wiping) !== undefined || this.#bytes.get(meta) !== undefined
  }

  async drop(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    const mark = this.#mark()
    await this.#writes.run(() => mark.write())
    const bounds = this.#keys.bounds()
    for await (const keys of this.#keysIn(bounds)) {
      if (signal.aborted) return
      const batch = this.#batch()
      for (const key of keys) batch.del(key)
      await this.#writes.run(() => batch.write())
    }
    if (signal.aborted) return
    await this.#writes.run(() => this.#bytes.del(this.#keys.wiping))
    if (!this.#isClosing()) await this.#bytes.reclaim?.(bounds)
  }

  range(options?: RangeOptions): AsyncIterable<Entry[]> {
    if (this.#isClosing()) throw this.#bytes.closed()
    // Made here, not at the first page: its snapshot is the range's.
    const pages = this.#bytes.range(this.#keys.bounds(options), options?.isReverse ?? false)
    return new KeyedRange(pages, this.#keys, this.#bytes, this.#isClosing)
  }

  #mark(): ByteBatch {
    const mark = this.#batch()
    mark.put(this.#keys.wiping, Buffer.alloc(0))
    mark.del(this.#keys.meta)
    return mark
  }

  async *#keysIn(bounds: Bounds): AsyncGenerator<readonly Buffer[]> {
    if (this.#isClosing()) throw this.#bytes.closed()
    const pages = this.#bytes.range(bounds, false)
    try {
      for await (const page of pages) yield page.map(([key]) => key)
    } catch (cause) {
      throw this.#bytes.failure(cause, 'read')
    }
  }

  #put(batch: ByteBatch, key: Buffer, value: Buffer): void {
    batch.put(key, this.#writes.seal(key, value))
  }

  #batch(): ByteBatch {
    if (this.#isClosing()) throw this.#bytes.closed()
    return this.#bytes.batch()
  }
}

class KeyedRange implements AsyncIterableIterator<Entry[]> {
  readonly #pages: AsyncIterableIterator<readonly Pair[]>
  readonly #keys: PartitionKeys
  readonly #bytes: Bytes
  readonly #isClosing: () => boolean
  #isEnded = false

  constructor(
    pages: AsyncIterableIterator<readonly Pair[]>,
    keys: PartitionKeys,
    bytes: Bytes,
    isClosing: () => boolean,
  ) {
    this.#pages = pages
    this.#keys = keys
    this.#bytes = bytes
    this.#isClosing = isClosing
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Entry[], undefined>> {
    if (this.#isEnded) return { done: true, value: undefined }
    try {
      if (this.#isClosing()) throw this.#bytes.closed()
      const found = await this.#pages.next()
      if (found.done) return await this.return()
      return {
        done: false,
        value: found.value.map(([key, sealed]) => ({
          key: this.#keys.own(key),
          value: unseal(key, sealed) ?? mismatch(this.#bytes),
        })),
      }
    } catch (cause) {
      await this.return().catch(() => {})
      throw this.#bytes.failure(cause, 'read')
    }
  }

  async return(): Promise<IteratorResult<Entry[], undefined>> {
    this.#isEnded = true
    await this.#pages.return?.()
    return { done: true, value: undefined }
  }
}

function mismatch(bytes: Bytes): never {
  throw bytes.damaged(new Error('a value does not have its checksum'))
}
