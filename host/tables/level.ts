// The store on disk: one LevelDB for a function, opened by its worker and by the main thread, which opens it first and closes it last.
import { resolve, sep } from 'node:path'
import { ClassicLevel, type Iterator } from 'classic-level'
import { HostError } from '../errors.js'
import { handleOptions, type LevelMemory } from '../leveldb/handle.js'
import { Checked, unseal } from './checked.js'
import { storeDamaged } from './damage.js'
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

export type Database = ClassicLevel<Buffer, Buffer>
type Batch = ReturnType<Database['batch']>
type Pairs = Iterator<Database, Buffer, Buffer>

export interface LevelStoreOptions extends LevelMemory {
  readonly path: string
}

/** A page of a range grows up to `maxPage`: a reader that wants ten entries shall not wait for a thousand. */
const firstPage = 32
const maxPage = 1000
const pageBytes = 128 * 1024

/** A store that can't be read at all is refused with STORE_DAMAGED. */
export async function openLevelStore(options: LevelStoreOptions): Promise<TableStore> {
  return levelStore(await openDatabase(options))
}

/** Over a database that is open; disposing of the store closes it. */
export function levelStore(database: Database): TableStore {
  return new LevelStore(database, database.location)
}

export async function openDatabase(options: LevelStoreOptions): Promise<Database> {
  // LevelDB shares a database between threads by its literal path: two spellings of one path would damage it.
  const path = resolve(options.path)
  const db: Database = new ClassicLevel(path, handleOptions(options))
  try {
    await db.open()
  } catch (cause) {
    throw failure(cause, path, 'opened')
  }
  return db
}

class LevelStore implements TableStore {
  readonly #db: Database
  readonly #path: string
  readonly #writes: Writes
  readonly #partitions = new Map<number | string, LevelPartition>()
  #closing: Promise<void> | undefined

  constructor(db: Database, path: string) {
    this.#db = db
    this.#path = path
    this.#writes = new Writes(path)
  }

  partition(partition: number): PartitionStore {
    return this.#open(partition, () => new PartitionKeys(partition))
  }

  copy({ topic, partition }: CopiedPartition): PartitionStore {
    return this.#open(`${partition} ${topic}`, () => new PartitionKeys(partition, topic))
  }

  async copies(): Promise<readonly CopiedPartition[]> {
    try {
      const keys = await this.#db.keys<Buffer>(copies.bounds).all()
      const found = new Map(keys.map((key) => [key.toString('latin1', 1), copies.of(key)]))
      return [...found.values()]
    } catch (cause) {
      throw failure(cause, this.#path, 'read')
    }
  }

  #open(name: number | string, keys: () => PartitionKeys): PartitionStore {
    let found = this.#partitions.get(name)
    if (found === undefined) {
      const isClosing = () => this.#closing !== undefined
      found = new LevelPartition(this.#db, this.#path, keys(), this.#writes, isClosing)
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
    await this.#db.close()
  }
}

/**
 * All writes of a store, one after another: two of one partition at once could land in either order, and what LevelDB has written
 * behind a record that a full disk has torn may be lost when it is opened again. So after one that failed there are none.
 */
class Writes {
  readonly #path: string
  readonly #checked = new Checked()
  #last: Promise<void> = Promise.resolve()
  #failure: HostError | undefined

  constructor(path: string) {
    this.#path = path
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
        this.#failure = failure(cause, this.#path, 'written')
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

class LevelPartition implements PartitionStore {
  readonly #db: Database
  readonly #path: string
  readonly #keys: PartitionKeys
  readonly #writes: Writes
  readonly #isClosing: () => boolean

  constructor(
    db: Database,
    path: string,
    keys: PartitionKeys,
    writes: Writes,
    isClosing: () => boolean,
  ) {
    this.#db = db
    this.#path = path
    this.#keys = keys
    this.#writes = writes
    this.#isClosing = isClosing
  }

  get(key: Buffer): Buffer | undefined {
    const at = this.#keys.value(key)
    const stored = this.#read(at)
    if (stored === undefined) return undefined
    return unseal(at, stored) ?? mismatch(this.#path)
  }

  meta(): PartitionMeta | undefined {
    if (this.#read(this.#keys.wiping) !== undefined) return undefined
    const stored = this.#read(this.#keys.meta)
    if (stored === undefined) return undefined
    try {
      const text = unseal(this.#keys.meta, stored)
      if (text !== undefined) return JSON.parse(text.toString())
      // Of a host before there were checksums: recovery sees the layout, and wipes it.
      const meta: PartitionMeta = JSON.parse(stored.toString())
      if (meta.layout < storeLayout) return meta
    } catch (cause) {
      throw storeDamaged(this.#path, cause)
    }
    return mismatch(this.#path)
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
    const mark = this.#batch().put(this.#keys.wiping, Buffer.alloc(0)).del(this.#keys.meta)
    await this.#writes.run(async () => {
      await mark.write()
      await this.#db.clear(this.#keys.bounds())
      await this.#db.del(this.#keys.wiping)
    })
  }

  range(options?: RangeOptions): AsyncIterable<Entry[]> {
    try {
      // Made here, not at the first page: its snapshot is the range's.
      const iterator = this.#db.iterator<Buffer, Buffer>({
        ...this.#keys.bounds(options),
        reverse: options?.isReverse ?? false,
        highWaterMarkBytes: pageBytes,
      })
      return new LevelRange(iterator, this.#keys, this.#path)
    } catch (cause) {
      throw failure(cause, this.#path, 'read')
    }
  }

  #put(batch: Batch, key: Buffer, value: Buffer): void {
    batch.put(key, this.#writes.seal(key, value))
  }

  #read(key: Buffer): Buffer | undefined {
    try {
      return this.#db.getSync(key)
    } catch (cause) {
      throw failure(cause, this.#path, 'read')
    }
  }

  #batch(): Batch {
    if (this.#isClosing()) throw closed(this.#path)
    try {
      return this.#db.batch()
    } catch (cause) {
      throw failure(cause, this.#path, 'written')
    }
  }
}

class LevelRange implements AsyncIterableIterator<Entry[]> {
  readonly #iterator: Pairs
  readonly #keys: PartitionKeys
  readonly #path: string
  #page = firstPage
  #isClosed = false

  constructor(iterator: Pairs, keys: PartitionKeys, path: string) {
    this.#iterator = iterator
    this.#keys = keys
    this.#path = path
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Entry[], undefined>> {
    if (this.#isClosed) return { done: true, value: undefined }
    try {
      const found = await this.#iterator.nextv(this.#page)
      if (found.length === 0) return await this.return()
      this.#page = Math.min(this.#page * 4, maxPage)
      return {
        done: false,
        value: found.map(([key, sealed]) => ({
          key: this.#keys.own(key),
          value: unseal(key, sealed) ?? mismatch(this.#path),
        })),
      }
    } catch (cause) {
      await this.return()
      throw failure(cause, this.#path, 'read')
    }
  }

  async return(): Promise<IteratorResult<Entry[], undefined>> {
    this.#isClosed = true
    await this.#iterator.close()
    return { done: true, value: undefined }
  }
}

function failure(thrown: unknown, path: string, done: 'opened' | 'read' | 'written'): HostError {
  if (thrown instanceof HostError) return thrown
  const codes = new Set(levelCodes(thrown))
  const message = thrown instanceof Error ? innermost(thrown).message : String(thrown)
  // A table file that was cut short is an invalid argument to LevelDB, not a corruption.
  const isCut = done !== 'written' && message.endsWith('.ldb: Invalid argument')
  // Nor is one that is gone, or that a damaged CURRENT names. The lock's file alone is made when it is not there.
  const isGone =
    done !== 'written' &&
    /: (No such file or directory|File name too long)$/.test(message) &&
    !message.includes(`${sep}LOCK: `)
  if (isCut || isGone || codes.has('LEVEL_CORRUPTION')) return storeDamaged(path, thrown)
  if (codes.has('LEVEL_LOCKED')) {
    return new HostError(
      'STORE_FAILED',
      `the store ${path} is open in another process; stop that process, or use another data folder`,
      { cause: thrown },
    )
  }
  if (done !== 'opened' && [...codes].some((code) => code.endsWith('_NOT_OPEN'))) {
    return closed(path, thrown)
  }
  return new HostError(
    'STORE_FAILED',
    `the store ${path} could not be ${done}: ${message}; check the disk's free space and the folder's permissions`,
    { cause: thrown },
  )
}

function mismatch(path: string): never {
  throw storeDamaged(path, new Error('a value does not have its checksum'))
}

function closed(path: string, cause?: unknown): HostError {
  return new HostError('STORE_FAILED', `the store ${path} is closed`, { cause })
}

/** LevelDB's own reason often lies below the one that says which call failed. */
function* levelCodes(thrown: unknown): Generator<string> {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    if ('code' in error && typeof error.code === 'string') yield error.code
  }
}

function innermost(error: Error): Error {
  return error.cause instanceof Error ? innermost(error.cause) : error
}
