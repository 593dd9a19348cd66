// What a function is composed with: how the main thread opens its store, and the module that its threads run.
import { type LevelStoreOptions, openLevelStore } from '../tables/level.js'
import type { TableStore } from '../tables/store.js'

export interface FunctionPorts {
  /** By the main thread, which opens each store first and closes it last. */
  openStore(path: string): Promise<TableStore>
  /** The entry of a function's thread: runs `runFunctionThread` over a store of the same kind. */
  readonly threadEntry: URL
}

/** As the host ships. The figures are those of each store; threads open it behind the main thread, whose figures count. */
export const levelPorts = (memory: Omit<LevelStoreOptions, 'path'> = {}): FunctionPorts => ({
  openStore: (path) => openLevelStore({ ...memory, path }),
  threadEntry: new URL('./worker.js', import.meta.url),
})
