// The store on disk: one LevelDB for a function, opened by its worker and by the main thread, which opens it first and closes it last.
import { resolve, sep } from 'node:path'
import { ClassicLevel, type Iterator } from 'classic-level'
import { HostError } from '../errors.js'
import { handleOptions, type LevelMemory } from '../leveldb/handle.js'
import { storeDamaged } from './damage.js'
import { type Bounds, type ByteBatch, type Bytes, KeyedStore, type Pair } from './keyed.js'
import type { TableStore } from './store.js'

export type Database = ClassicLevel<Buffer, Buffer>
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
  return new KeyedStore(new LevelBytes(database))
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

class LevelBytes implements Bytes {
  readonly #db: Database
  readonly #path: string

  constructor(db: Database) {
    this.#db = db
    this.#path = db.location
  }

  get(key: Buffer): Buffer | undefined {
    try {
      return this.#db.getSync(key)
    } catch (cause) {
      throw this.failure(cause, 'read')
    }
  }

  batch(): ByteBatch {
    try {
      return this.#db.batch()
    } catch (cause) {
      throw this.failure(cause, 'written')
    }
  }

  async del(key: Buffer): Promise<void> {
    await this.#db.del(key)
  }

  async clear(bounds: Bounds): Promise<void> {
    await this.#db.clear(bounds)
  }

  async reclaim({ gte, lt }: Bounds): Promise<void> {
    await this.#db.compactRange(gte, lt)
  }

  range(bounds: Bounds, isReverse: boolean): AsyncIterableIterator<readonly Pair[]> {
    try {
      const options = { ...bounds, reverse: isReverse, highWaterMarkBytes: pageBytes }
      return new LevelPages(this.#db.iterator<Buffer, Buffer>(options))
    } catch (cause) {
      throw this.failure(cause, 'read')
    }
  }

  async close(): Promise<void> {
    await this.#db.close()
  }

  failure(thrown: unknown, done: 'opened' | 'read' | 'written'): HostError {
    return failure(thrown, this.#path, done)
  }

  damaged(cause: unknown): HostError {
    return storeDamaged(this.#path, cause)
  }

  closed(): HostError {
    return closed(this.#path)
  }
}

class LevelPages implements AsyncIterableIterator<readonly Pair[]> {
  readonly #iterator: Pairs
  #page = firstPage

  constructor(iterator: Pairs) {
    this.#iterator = iterator
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<readonly Pair[], undefined>> {
    const found = await this.#iterator.nextv(this.#page)
    this.#page = Math.min(this.#page * 4, maxPage)
    return found.length === 0 ? { done: true, value: undefined } : { done: false, value: found }
  }

  async return(): Promise<IteratorResult<readonly Pair[], undefined>> {
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
