// A function's table as a test reads it: what is stored, decoded.
import type { AnyCodec } from '../../sdk/codec.js'
import type { Hasher } from '../../sdk/topic.js'
import { partitionOf } from '../log/partitioner.js'
import type { RangeOptions, TableStore } from '../tables/store.js'
import { createTableView } from '../tables/view.js'

export interface TableRange {
  /** Keys that begin with it. */
  readonly prefix?: string
  /** The first key, included. */
  readonly from?: string
  /** The last key, excluded. */
  readonly to?: string
}

export interface TestTable<Value> {
  /** What is stored now, as a view has it; undefined: nothing. Let `settled()` come first. */
  get(key: string): Value | undefined
  has(key: string): boolean
  /** In key order. */
  entries(range?: TableRange): Promise<[key: string, value: Value][]>
  keys(range?: TableRange): Promise<string[]>
  size(): Promise<number>
}

export interface StoredTable {
  readonly store: TableStore
  readonly codec: AnyCodec
  readonly partitions: number
  readonly hasher: Hasher
}

/** `table` is asked each time: a crash may bring another store, a swap another codec. */
export function createTestTable(table: () => StoredTable): TestTable<unknown> {
  const stored = (key: string): Buffer | undefined => {
    const { store, partitions, hasher } = table()
    const bytes = Buffer.from(key)
    return store.partition(partitionOf(bytes, partitions, hasher)).get(bytes)
  }
  const entries = async (range: TableRange = {}): Promise<[string, unknown][]> => {
    const { store, codec, partitions } = table()
    const found: [string, unknown][] = []
    for await (const page of createTableView(store, partitions).range(bytesOf(range))) {
      for (const { key, value } of page) found.push([key.toString(), codec.decode(value)])
    }
    const { prefix = '' } = range
    return found.filter(([key]) => key.startsWith(prefix))
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
