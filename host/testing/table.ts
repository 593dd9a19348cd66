// A function's table as a test reads it: what is stored, decoded.
import type { AnyCodec } from '../../sdk/codec.js'
import type { Hasher } from '../../sdk/topic.js'
import { partitionOf } from '../log/partitioner.js'
import type { RangeOptions, TableStore } from '../tables/store.js'
import { createTableView } from '../tables/view.js'
import { type Keys, keyFrom, keyTextOf } from './keys.js'

export interface TableRange {
  /** Keys that begin with it, as text: `keyOf` has a `prefix`. */
  readonly prefix?: string
  /** The first key, included. */
  readonly from?: string
  /** The last key, excluded. */
  readonly to?: string
}

export interface TestTable<Value, Key = string> {
  /** What is stored now, as a view has it; undefined: nothing. Let `settled()` come first. */
  get(key: Key): Value | undefined
  has(key: Key): boolean
  /** In key order. */
  entries(range?: TableRange): Promise<[key: Key, value: Value][]>
  keys(range?: TableRange): Promise<Key[]>
  size(): Promise<number>
}

export interface StoredTable {
  readonly store: TableStore
  readonly codec: AnyCodec
  readonly keys: Keys
  readonly partitions: number
  readonly hasher: Hasher
}

/** `table` is asked each time: a crash may bring another store, a swap another codec. */
export function createTestTable(table: () => StoredTable): TestTable<unknown, unknown> {
  const stored = (key: unknown): Buffer | undefined => {
    const { store, keys, partitions, hasher } = table()
    const bytes = Buffer.from(keyTextOf('the table', [keys], key))
    return store.partition(partitionOf(bytes, partitions, hasher)).get(bytes)
  }
  const entries = async (range: TableRange = {}): Promise<[unknown, unknown][]> => {
    const { store, codec, keys, partitions } = table()
    const { prefix = '' } = range
    const found: [unknown, unknown][] = []
    for await (const page of createTableView(store, partitions).range(bytesOf(range))) {
      for (const { key, value } of page) {
        const text = key.toString()
        if (text.startsWith(prefix)) found.push([keyFrom([keys], text), codec.decode(value)])
      }
    }
    return found
  }
  return {
    get(key) {
      const bytes = stored(key)
      return bytes === undefined ? undefined : table().codec.decode(bytes)
    },
    has: (key) => stored(key) !== undefined,
    entries,
    keys: async (range) => (await entries(range)).map(([key]) => key),
    size: async () => (await entries()).length,
  }
}

const bytesOf = ({ prefix, from = prefix, to }: TableRange): RangeOptions => ({
  ...(from === undefined ? {} : { from: Buffer.from(from) }),
  ...(to === undefined ? {} : { to: Buffer.from(to) }),
})
