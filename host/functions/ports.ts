// What a function is composed with: how the main thread opens its store, and the module that its threads run.
import type { LevelMemory } from '../leveldb/handle.js'
import { openLevelStore } from '../tables/level.js'
import type { TableStore } from '../tables/store.js'

export interface FunctionPorts {
  /** By the main thread, which opens each store first and closes it last. */
  openStore(path: string): Promise<TableStore>
  /** The entry of a function's thread: runs `runFunctionThread` over a store of the same kind. */
  readonly threadEntry: URL
}

/** As the host ships; `memory` is that of each store. */
export const levelPorts = (memory: LevelMemory = {}): FunctionPorts => ({
  openStore: (path) => openLevelStore({ ...memory, path }),
  threadEntry: new URL('./worker.js', import.meta.url),
})
