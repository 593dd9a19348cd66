// The store on disk with points between the steps of a write and of a wipe: it is LevelDB below it that passes them.
import { levelStore, openDatabase } from '#host/tables/level.js'
import type { PartitionStore, TableStore } from '#host/tables/store.js'
import type { Failpoints } from './failpoints.js'
import { pointed } from './pointed.js'

export async function openPointedStore(
  path: string,
  points: Failpoints,
  phase: () => string,
): Promise<TableStore> {
  // A wipe makes its first batch before its call returns.
  let isWiping = false
  const database = pointed(await openDatabase({ path }), points, {
    name: (method) => {
      if (method === 'clear') return 'wipe/clear'
      return method === 'del' ? 'wipe/unmark' : undefined
    },
    wrap: (method, result) => {
      if (method !== 'batch') return result
      const batch = result as { write: () => Promise<void> }
      const step = isWiping ? 'wipe/mark' : `${phase()}/write`
      // In place: a chained batch hands itself on.
      const write = batch.write.bind(batch)
      const { write: pointedWrite } = pointed({ write }, points, { name: () => step })
      batch.write = pointedWrite
      return batch
    },
  })
  const store = levelStore(database)
  const partition = (of: PartitionStore): PartitionStore => {
    const wipe = of.wipe.bind(of)
    of.wipe = () => {
      isWiping = true
      try {
        return wipe()
      } finally {
        isWiping = false
      }
    }
    return of
  }
  const known = new Map<number | string, PartitionStore>()
  const once = (name: number | string, open: () => PartitionStore) => {
    const found = known.get(name) ?? partition(open())
    known.set(name, found)
    return found
  }
  return {
    partition: (number) => once(number, () => store.partition(number)),
    copy: (of) => once(`${of.partition} ${of.topic}`, () => store.copy(of)),
    copies: () => store.copies(),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  }
}
