// Why a member gets none of its group's partitions: others run it with other edges.
import { edgesDiffer } from '../group-edges.js'
import type { JoinOptions, Refusal } from '../log.js'
import type { Share } from './group-data.js'
import { otherEdges } from './problems.js'

/** Undefined: it has a part, or there was none left for it. */
export function refusalOf(
  { group, topics, runs }: Pick<JoinOptions, 'group' | 'topics' | 'runs'>,
  { partitions, topics: shared, edges, members }: Share,
): Refusal | undefined {
  // Who shares them out knows who is to have some.
  if (partitions.length > 0 || shared.length === 0) return undefined
  const [here, there] =
    runs === undefined || edges === undefined
      ? [{ inputs: topics }, { inputs: shared }]
      : [runs.edges, edges]
  const differences = edgesDiffer(here, there)
  if (differences.length === 0) return undefined
  const owners = members.filter((member) => member.partitions.length > 0)
  const instances = new Set(owners.map(({ instance }) => instance))
  return { error: otherEdges(group, differences, instances), ...(edges && { edges }) }
}
