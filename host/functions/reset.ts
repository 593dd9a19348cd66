// Forgets all that a function has made of its inputs, so that it begins anew from their oldest records. The host must not run.
import { rename, rm, stat } from 'node:fs/promises'
import type { Log } from '../log/log.js'
import { notesPathOf, type OwnNames, ownStorePathOf, storePathOf } from './names.js'

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

/**
 * In this order, a host that is started after any of them is right: the table without its store is rebuilt from the changelog;
 * changelog, loop and positions go at once, and then there is no store that could be taken for a table. Each may be done again.
 */
export function resetSteps(options: ResetOptions, remains: Remains): (() => Promise<void>)[] {
  const { log, tables, names } = options
  const { group } = names
  const stores = storesOf(tables, names)
  const folders = stores.flatMap(foldersOf)
  const drop = async () => {
    for (const folder of folders) await rm(asideOf(folder), { recursive: true, force: true })
    for (const store of stores) await rm(notesPathOf(store), { force: true })
  }
  return [
    drop,
    // Aside by one rename: a store that was deleted in part would be taken for a damaged one.
    async () => {
      for (const folder of folders) {
        if (await exists(folder)) await rename(folder, asideOf(folder))
      }
    },
    async () => {
      // A view's host need not have the right to.
      if (group === undefined) return
      const topics = remains.topics.map((topic) => topic.name)
      await log.remove(topics, { groups: [group] })
    },
    drop,
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
