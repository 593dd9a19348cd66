// The main thread's read side of a function's table: single keys synchronously, ranges merged over the partitions.
import type { Entry, RangeOptions, TableStore } from './store.js'

export interface TableView {
  get(partition: number, key: Buffer): Buffer | undefined
  /** All partitions in key order. */
  range(options?: RangeOptions): AsyncIterable<Entry[]>
}

export type { TableStore }
