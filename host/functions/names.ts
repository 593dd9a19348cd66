// The names that a function's own name gives: its group in the log, and the topics of its table and its loop.
import { join } from 'node:path'

/** Whether a function can have the name. */
export const isFunctionName = (name: string): boolean => /^[a-z][a-z0-9-]*$/.test(name)

export interface OwnNames {
  readonly group: string
  readonly table: string
  readonly loop: string
}

export function ownNames(name: string, namespace: string, revision?: string): OwnNames {
  // A point is in no function's name: no other function can have this group.
  const own = namespace + name + (revision === undefined ? '' : `.${revision}`)
  return { group: own, table: `${own}-table`, loop: `${own}-loop` }
}

/** Beside the store that a function has, or would have. */
export const notesPathOf = (storePath: string): string => `${storePath}.inputs.json`

/** The folder of a function's store, within that of all stores. Each revision has a group, and so a table, of its own. */
export const storePathOf = (tables: string, group: string): string => join(tables, group)
