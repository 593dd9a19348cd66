// A store of the user's own as the host has it: checked wherever it could be wrong without anybody noticing, and its errors named.
import { mkdir } from 'node:fs/promises'
import type { OpenStore, Store, StoreChange, StoreEntry, StorePlace } from '../../sdk/store.js'
import { HostError, toPlainError } from '../errors.js'
import { storeDamaged } from './damage.js'
import { type Bounds, type ByteBatch, type Bytes, KeyedStore, type Pair } from './keyed.js'
import type { TableStore } from './store.js'

const methods = ['get', 'write', 'range', 'close'] as const satisfies (keyof OpenStore)[]
const pageEntries = 1000

/** Rejects with STORE_FAILED, or STORE_DAMAGED if the store says so. */
export async function openOwnStore(store: Store, place: StorePlace): Promise<TableStore> {
  let opened: unknown
  try {
    await mkdir(place.folder, { recursive: true })
    opened = await store.open(place)
  } catch (cause) {
    throw failure(cause, place, 'opened')
  }
  const missing = methods.filter(
    (name) =>
      typeof opened !== 'object' ||
      opened === null ||
      typeof Reflect.get(opened, name) !== 'function',
  )
  if (missing.length > 0) {
    throw wrong(place, `its open gave ${kindOf(opened)} without ${missing.join(', ')}`)
  }
  return new KeyedStore(new OwnBytes(opened as OpenStore, place))
}

class OwnBytes implements Bytes {
  readonly #store: OpenStore
  readonly #place: StorePlace
  #isClosed = false

  constructor(store: OpenStore, place: StorePlace) {
    this.#store = store
    this.#place = place
  }

  get(key: Buffer): Buffer | undefined {
    if (this.#isClosed) throw this.closed()
    let found: unknown
    try {
      found = this.#store.get(key)
    } catch (cause) {
      throw this.failure(cause, 'read')
    }
    if (found === undefined) return undefined
    if (found instanceof Uint8Array) return Buffer.from(found)
    if (found instanceof Promise) found.catch(() => {})
    const what =
      found instanceof Promise ? 'a promise: it has to have the value at once' : kindOf(found)
    throw wrong(this.#place, `its get gave ${what}; allowed are a Uint8Array and undefined`)
  }

  batch(): ByteBatch {
    return new OwnBatch(this.#store)
  }

  async del(key: Buffer): Promise<void> {
    await this.#store.write([[Buffer.from(key), null]])
  }

  async clear(bounds: Bounds): Promise<void> {
    for await (const page of this.range(bounds, false)) {
      await this.#store.write(page.map(([key]): StoreChange => [key, null]))
    }
  }

  range(bounds: Bounds, isReverse: boolean): AsyncIterableIterator<readonly Pair[]> {
    const { gte: from, lt: to } = bounds
    let found: Iterable<StoreEntry> | AsyncIterable<StoreEntry> = []
    if (Buffer.compare(from, to) < 0) {
      try {
        found = this.#store.range({ from, to, isReverse })
      } catch (cause) {
        throw this.failure(cause, 'read')
      }
    }
    return new OwnPages(found, { bounds, isReverse, place: this.#place })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    try {
      await this.#store.close()
    } catch (cause) {
      throw this.failure(cause, 'closed')
    }
  }

  failure(thrown: unknown, done: Done): HostError {
    return failure(thrown, this.#place, done)
  }

  damaged(cause: unknown): HostError {
    return storeDamaged(this.#place.folder, cause)
  }

  closed(): HostError {
    return new HostError('STORE_FAILED', `the store of ${this.#place.function} is closed`)
  }
}

/** Bytes of its own, and each key once: a store may keep what it is given, and need not know which change is the last. */
class OwnBatch implements ByteBatch {
  readonly #store: OpenStore
  readonly #changes = new Map<string, StoreChange>()

  constructor(store: OpenStore) {
    this.#store = store
  }

  put(key: Buffer, value: Buffer): void {
    this.#changes.set(key.toString('latin1'), [Buffer.from(key), Buffer.from(value)])
  }

  del(key: Buffer): void {
    this.#changes.set(key.toString('latin1'), [Buffer.from(key), null])
  }

  async write(): Promise<void> {
    await this.#store.write([...this.#changes.values()])
  }

  async close(): Promise<void> {}
}

interface Asked {
  readonly bounds: Bounds
  readonly isReverse: boolean
  readonly place: StorePlace
}

class OwnPages implements AsyncIterableIterator<readonly Pair[]> {
  readonly #found: Iterator<StoreEntry> | AsyncIterator<StoreEntry>
  readonly #asked: Asked
  #before: Buffer | undefined

  constructor(found: Iterable<StoreEntry> | AsyncIterable<StoreEntry>, asked: Asked) {
    this.#asked = asked
    if (typeof found === 'object' && found !== null && Symbol.asyncIterator in found) {
      this.#found = found[Symbol.asyncIterator]()
    } else if (typeof found === 'object' && found !== null && Symbol.iterator in found) {
      this.#found = found[Symbol.iterator]()
    } else throw wrong(asked.place, `its range gave ${kindOf(found)}, which cannot be iterated`)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<readonly Pair[], undefined>> {
    const page: Pair[] = []
    while (page.length < pageEntries) {
      const returned = this.#found.next()
      // One that has it at once is not awaited for each entry.
      const next = returned instanceof Promise ? await returned : returned
      if (next.done === true) break
      page.push(this.#checked(next.value))
    }
    return page.length === 0 ? { done: true, value: undefined } : { done: false, value: page }
  }

  async return(): Promise<IteratorResult<readonly Pair[], undefined>> {
    await this.#found.return?.()
    return { done: true, value: undefined }
  }

  /** Where keys come in another order, or from elsewhere, reads by prefix would miss some without a word. */
  #checked(entry: unknown): Pair {
    const { bounds, isReverse, place } = this.#asked
    const [given, value]: readonly unknown[] = Array.isArray(entry) ? entry : []
    if (!(given instanceof Uint8Array) || !(value instanceof Uint8Array)) {
      throw wrong(place, `its range gave ${kindOf(entry)} in place of [key, value] in bytes`)
    }
    const key = Buffer.from(given)
    const isInside = Buffer.compare(key, bounds.gte) >= 0 && Buffer.compare(key, bounds.lt) < 0
    const step = this.#before === undefined ? 1 : Buffer.compare(key, this.#before)
    if (!isInside || (this.#before !== undefined && (isReverse ? step >= 0 : step <= 0))) {
      throw wrong(
        place,
        `its range gave a key ${isInside ? 'out of the order of their bytes' : 'that was not asked for'}: ${key.toString('hex')}`,
      )
    }
    this.#before = key
    return [key, Buffer.from(value)]
  }
}

type Done = 'opened' | 'read' | 'written' | 'closed'

function failure(thrown: unknown, place: StorePlace, done: Done): HostError {
  if (thrown instanceof HostError) return thrown
  if (codeOf(thrown) === 'STORE_DAMAGED') return storeDamaged(place.folder, thrown)
  return new HostError(
    'STORE_FAILED',
    `the store of ${place.function} could not be ${done}: ${toPlainError(thrown).message}`,
    { cause: thrown },
  )
}

const wrong = (place: StorePlace, what: string): HostError =>
  new HostError(
    'STORE_FAILED',
    `the store of ${place.function} does not do what a store has to: ${what}; storeChecks of millrace/testing tells more`,
  )

const kindOf = (value: unknown): string => (value === null ? 'null' : typeof value)

const codeOf = (thrown: unknown): unknown =>
  typeof thrown === 'object' && thrown !== null && 'code' in thrown ? thrown.code : undefined
