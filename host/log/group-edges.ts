// What members of a group have to agree on: whether they do, and what differs, in words.
import type { GroupEdges } from './log.js'

/** The same text for the same edges. */
export const edgesText = ({ inputs, joins, lookups, table, hasher, partitions }: GroupEdges) =>
  JSON.stringify([inputs, joins, lookups, table, hasher, partitions])

/** Whoever looks for a key finds it in the same partition of the same table. */
export const haveSameTable = (one: GroupEdges, other: GroupEdges): boolean =>
  one.table === other.table && one.hasher === other.hasher && one.partitions === other.partitions

export const haveSame = (some: readonly string[], others: readonly string[]): boolean =>
  some.length === others.length && some.every((topic) => others.includes(topic))

/** Each that is not the same, with what it is here and there. */
export function edgesDiffer(here: Partial<GroupEdges>, there: Partial<GroupEdges>): string[] {
  const fields = ['inputs', 'joins', 'lookups', 'table', 'hasher', 'partitions'] as const
  return fields.flatMap((field) => {
    const [own, its] = [inWords(here[field]), inWords(there[field])]
    return own === its ? [] : [`${field}: ${own} here; ${its} there`]
  })
}

function inWords(edge: GroupEdges[keyof GroupEdges] | undefined): string {
  if (typeof edge === 'object' && edge !== null) return [...edge].sort().join(', ') || 'none'
  return String(edge ?? 'none')
}
