// Refuses to move under the feet of a host that runs on the target already.
import { HostError } from '../errors.js'
import type { Inventory } from './inventory.js'
import type { Patience } from './patience.js'

/** Of each group, who is in it on the target. */
export type MembersOf = (
  groups: readonly string[],
) => Promise<ReadonlyMap<string, readonly string[]>>

/** Throws MOVE_CONFLICT when one of the groups that are moved has members. */
export async function checkMembers(
  { positions }: Inventory,
  members: MembersOf,
  patience: Patience,
): Promise<void> {
  const groups = [...new Set(positions.map(({ group }) => group))]
  const found = await patience.ask(() => members(groups))
  const inUse = [...found].filter(([, known]) => known.length > 0)
  if (inUse.length === 0) return
  const list = inUse.map(([group, known]) => `\n  - ${group}: ${known.join(', ')}`).join('')
  throw new HostError(
    'MOVE_CONFLICT',
    `hosts run on the cluster already, and what their functions have read would be in the way of the positions that are moved: stop them, and run this command again. Groups with members:${list}`,
    { details: { groups: inUse.map(([group]) => group) } },
  )
}
