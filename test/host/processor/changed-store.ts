// A store as it is, but for what a test has it do otherwise.
import type { CopiedPartition, PartitionStore, TableStore } from '#host/tables/store.js'

export interface StoreChanges {
  partition?(partition: PartitionStore): Partial<PartitionStore>
  copy?(copy: PartitionStore, of: CopiedPartition): Partial<PartitionStore>
}

export function changed(inner: TableStore, { partition, copy }: StoreChanges): TableStore {
  return {
    partition: (number) => {
      const found = inner.partition(number)
      return { ...bound(found), ...partition?.(found) }
    },
    copy: (of) => {
      const found = inner.copy(of)
      return { ...bound(found), ...copy?.(found, of) }
    },
    copies: () => inner.copies(),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  }
}

const bound = (store: PartitionStore): PartitionStore => ({
  get: (key) => store.get(key),
  meta: () => store.meta(),
  wipe: () => store.wipe(),
  isThere: () => store.isThere(),
  drop: (signal) => store.drop(signal),
  range: (options) => store.range(options),
  write: (changes, meta) => store.write(changes, meta),
})
