// Forgets all that a function has made of its inputs, so that it begins anew from their oldest records. It must not run meanwhile.
import { readFile, rename, rm, stat } from 'node:fs/promises'
import type { Log } from '../log/log.js'
import type { FunctionDescription } from './description.js'
import { notesPathOf, type OwnNames, ownNames, ownStorePathOf, storePathOf } from './names.js'

export interface ResetOptions {
  readonly log: Log
  /** The folder in which each function has its store, absolute. */
  readonly tables: string
  /** The function's, as its definition has them. */
  readonly names: ResetNames
}

/** A view has nothing but a store. Of a name without a file, it may be either. */
export interface ResetNames extends Partial<OwnNames> {
  /** The name of a view's store. */
  readonly view?: string
}

/** As its definition has them; without a table now, it may have had one before, under the name that it would have. */
export function resetNames(description: FunctionDescription, namespace: string): ResetNames {
  const { kind, name, group, table, loop } = description
  return kind === 'view'
    ? { view: group }
    : ownNames(name, namespace, { group, table: table?.topic, loop: loop?.topic })
}

/** What there is of the function outside of its file. */
export interface Remains {
  readonly topics: readonly { readonly name: string; readonly records: number }[]
  readonly positions: number
  /** Its local table, or what an interrupted reset has left of it. */
  readonly hasStore: boolean
  /** Without a table: which topics it has read. */
  readonly hasNotes: boolean
}

export async function remainsOf({ log, tables, names }: ResetOptions): Promise<Remains> {
  const { group, table, loop } = names
  const stores = storesOf(tables, names)
  const known = await log.describe([table, loop].flatMap((topic) => topic ?? []))
  // Of another kind it is somebody else's stream that only has such a name.
  const own = [...known.values()].filter(
    (topic) => topic.kind === (topic.name === table ? 'table' : 'stream'),
  )
  return {
    topics: own.map((topic) => ({
      name: topic.name,
      records: topic.partitions.reduce((sum, { oldest, stableEnd }) => sum + stableEnd - oldest, 0),
    })),
    positions: group === undefined ? 0 : (await log.committed(group)).length,
    hasStore: (await Promise.all(stores.flatMap(foldersOf).map(isThere))).includes(true),
    hasNotes: (await Promise.all(stores.map((store) => exists(notesPathOf(store))))).includes(true),
  }
}

type Step = () => Promise<void>

/**
 * In this order, a host that is started after any of them is right: the table without its store is rebuilt from the changelog;
 * changelog, loop and positions go at once, and then there is no store that could be taken for a table. Each may be done again.
 */
export function resetSteps(options: ResetOptions, remains: Remains): Step[] {
  const { log, tables, names } = options
  const { group } = names
  const [drop, putAside] = localSteps(tables, names)
  return [
    drop,
    putAside,
    async () => {
      // A view's host need not have the right to.
      if (group === undefined) return
      const topics = remains.topics.map((topic) => topic.name)
      await log.remove(topics, { groups: [group] })
    },
    drop,
  ]
}

/** What this host has of it, where the log is others', too: they see to the rest. May be done again. */
export async function dropLocal(tables: string, names: ResetNames): Promise<void> {
  const [drop, putAside] = localSteps(tables, names)
  for (const step of [drop, putAside, drop]) await step()
}

/**
 * The notes of a function without a table, should they name a topic that a reset has deleted while this host was not there. A table
 * knows its topic by itself.
 */
export async function dropNotes(
  tables: string,
  names: ResetNames,
  deleted: readonly string[],
): Promise<void> {
  for (const store of storesOf(tables, names)) {
    const file = notesPathOf(store)
    const noted = await readFile(file, 'utf8').catch(() => '')
    if (deleted.some((id) => noted.includes(JSON.stringify(id)))) await rm(file, { force: true })
  }
}

function localSteps(tables: string, names: ResetNames): [drop: Step, putAside: Step] {
  const stores = storesOf(tables, names)
  const folders = stores.flatMap(foldersOf)
  return [
    async () => {
      for (const folder of folders) await rm(asideOf(folder), { recursive: true, force: true })
      for (const store of stores) await rm(notesPathOf(store), { force: true })
    },
    // By one rename: a store that was deleted in part would be taken for a damaged one.
    async () => {
      for (const folder of folders) {
        if (await exists(folder)) await rename(folder, asideOf(folder))
      }
    },
  ]
}

const storesOf = (tables: string, { group, view }: ResetNames): string[] =>
  [group, view].flatMap((name) => (name === undefined ? [] : storePathOf(tables, name)))

/** The host's own, and one of the user's. */
const foldersOf = (store: string): string[] => [store, ownStorePathOf(store)]

/** `~` is in no group's name. */
const asideOf = (store: string): string => `${store}.reset~`

const isThere = async (store: string): Promise<boolean> =>
  (await exists(store)) || (await exists(asideOf(store)))

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
