// What the leader of a group sends to its members: what each gets, and who has what.
import type { GroupPeer } from '../log.js'
import type { Claim } from './claim.js'
import { packMembers, packShare, unpackClaim } from './group-data.js'
import { planOf } from './plan.js'
import type { JoinedGroup } from './requests/group.js'
import type { RunningEdges } from './running-edges.js'

export const claimsOf = ({ members }: Pick<JoinedGroup, 'members'>): Claim[] =>
  members.map(({ member, metadata }) => unpackClaim(member, metadata))

/** By member, as `syncGroup` takes them. `count`: of partitions, for those who run the group. `isShort`: as in `planOf`. */
export function sharesOf(
  claims: readonly Claim[],
  running: RunningEdges,
  count: number,
  isShort?: (partition: number) => boolean,
): ReadonlyMap<string, Uint8Array> {
  const { topics, edges } = running
  const { owned: shares, copied: standbys } = planOf(running.claims, count, isShort)
  const peerOf = ({ member, instance, address, version }: Claim): GroupPeer => ({
    instance,
    address,
    partitions: shares.get(member) ?? [],
    standbys: standbys.get(member) ?? [],
    ...(version === undefined ? {} : { version }),
    ...(shares.has(member) ? {} : { isRefused: true }),
  })
  const members = packMembers(claims.map(peerOf), edges)
  return new Map(
    claims.map(({ member }) => {
      const told = { standbys: standbys.get(member) ?? [], members }
      return [member, packShare(topics, shares.get(member) ?? [], told)]
    }),
  )
}
