// A function is visited wherever its partitions are: here, and at the instances that have the others.
import { HostError } from '../errors.js'
import type { Catalog } from '../functions/catalog.js'
import type { Operator, VisitOrder } from '../functions/operation.js'
import type { GroupPeer } from '../log/log.js'
import type { VisitReport } from '../processor/visiting.js'
import type { Cluster } from './cluster.js'
import { remoteVisit } from './remote-visit.js'
import { type Share, visitShares } from './visit-shares.js'

export interface Visitable {
  readonly catalog: Pick<Catalog, 'members' | 'table'>
  readonly operator: Pick<Operator, 'visit'>
  readonly cluster: Cluster
}

/**
 * Undefined: there is no such function here. Rejects with what one that has some of the partitions does, with what all have come to in the
 * details; with RECOVERING and NOT_ROUTED before anything is done.
 */
export async function visitEverywhere(
  { catalog, operator, cluster }: Visitable,
  name: string,
  order: VisitOrder,
): Promise<VisitReport | undefined> {
  const members = catalog.members(name)
  const table = catalog.table(name)
  // It has no group for now, which the function itself tells; or it has no table.
  if (table === undefined || members.length === 0) return await operator.visit(name, order)
  assertCovered(name, table.partitions, members)
  const { visitor, argument, isCounted } = order
  const here = ({ partitions }: GroupPeer): Share => ({
    partitions,
    async run(given) {
      const report = await operator.visit(name, { ...order, ...given, partitions })
      if (report !== undefined) return report
      throw new HostError('RECOVERING', `${name} has just been removed here`, { function: name })
    },
  })
  const there = (member: GroupPeer): Share => {
    const { partitions } = member
    const { client, timeoutMs } = cluster
    const asked = { visitor, argument: argument ?? null, isCounted, partitions }
    const remote = { client, owner: cluster.peer(member), function: name, asked, timeoutMs }
    return { partitions, run: (given) => remoteVisit(remote, given) }
  }
  const shares = members
    .filter(({ partitions }) => partitions.length > 0)
    .sort((a, b) => (a.instance < b.instance ? -1 : 1))
    .map((member) => (member.instance === cluster.instance ? here(member) : there(member)))
  return await visitShares({ function: name, visitor }, shares, order)
}

function assertCovered(name: string, count: number, members: readonly GroupPeer[]): void {
  const had = new Set(members.flatMap(({ partitions }) => partitions))
  const free = Array.from({ length: count }, (_, partition) => partition).filter(
    (partition) => !had.has(partition),
  )
  if (free.length === 0) return
  throw new HostError(
    'RECOVERING',
    `nobody has the partitions ${free.join(', ')} of ${name} for now: try again`,
    { function: name },
  )
}
