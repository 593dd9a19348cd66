// What a thread runs: the group of a processor, or that of a view.
import type { TableStore } from '../tables/store.js'
import { Group, type GroupEvents, type GroupOptions } from './group.js'
import type { Program } from './program.js'
import { type ViewEvents, ViewGroup } from './view-group.js'
import type { ViewProgram } from './view-program.js'

export interface RuntimeOptions extends Omit<GroupOptions, 'program' | 'events'> {
  readonly program: Program | ViewProgram
  readonly events: GroupEvents & ViewEvents
}

export type Runtime = Group | ViewGroup

export function createRuntime(options: RuntimeOptions): Runtime {
  const { program, store } = options
  if (program.kind === 'processor') return new Group({ ...options, program })
  return new ViewGroup({ ...options, program, store: viewStore(store) })
}

/** At a record boundary. Both are of one kind: another one is another function. */
export async function swapRuntime(runtime: Runtime, program: Program | ViewProgram): Promise<void> {
  if (program.kind === 'processor' && runtime instanceof Group) await runtime.swap(program)
  if (program.kind === 'view' && runtime instanceof ViewGroup) await runtime.swap(program)
}

function viewStore(store: TableStore | null): TableStore {
  if (store === null) throw new TypeError('a view needs a store')
  return store
}
