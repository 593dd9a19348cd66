// The names that a function's own name gives: its group in the log, and the topics of its table and its loop.
import { join } from 'node:path'

/** Whether a function can have the name. */
export const isFunctionName = (name: string): boolean => /^[a-z][a-z0-9-]*$/.test(name)

export interface OwnNames {
  readonly group: string
  readonly table: string
  readonly loop: string
}

/** What a definition names otherwise; names are as they are in the log, without the namespace. */
export interface GivenNames extends Partial<Record<keyof OwnNames, string | undefined>> {
  readonly revision?: string | undefined
}

export function ownNames(name: string, namespace: string, given: GivenNames = {}): OwnNames {
  const { revision } = given
  // A point is in no function's name: no other function can have this group by its name.
  const own = namespace + name + (revision === undefined ? '' : `.${revision}`)
  const { group = own, table = `${group}-table`, loop = `${group}-loop` } = given
  return { group, table, loop }
}

/**
 * A view joins no group: this is the name of its store alone. `~` is in no group's name, so that nothing of a processor that has the
 * view's name, elsewhere or before, is taken for the view's, or the other way round.
 */
export const viewStoreOf = (name: string, namespace: string, revision?: string): string =>
  `${ownNames(name, namespace, { revision }).group}.view~`

/** Beside the store that a function has, or would have. */
export const notesPathOf = (storePath: string): string => `${storePath}.inputs.json`

/** The folder of a store of the user's own, beside. `~` is in no group's name: no other function has it. */
export const ownStorePathOf = (storePath: string): string => `${storePath}.own~`

/** The folder of a function's store, within that of all stores. Each revision has a group, and so a table, of its own. */
export const storePathOf = (tables: string, group: string): string => join(tables, group)
