// What the leader of a group sends to its members: what each gets, and who has what.
import type { GroupPeer } from '../log.js'
import { type Claim, shareOut, standbysOf } from './assignor.js'
import { packMembers, packShare, unpackClaim } from './group-data.js'
import type { JoinedGroup } from './requests/group.js'

/** By member, as `syncGroup` takes them. */
export function sharesOf(
  { members }: JoinedGroup,
  topics: readonly string[],
  count: number,
): ReadonlyMap<string, Uint8Array> {
  const claims = members.map(({ member, metadata }) => unpackClaim(member, metadata))
  // One that reads others would leave records of these unread, where it had a partition.
  const alike = claims.filter((claim) => haveSame(claim.topics, topics))
  const shares = shareOut(alike, count)
  const standbys = standbysOf(alike, shares, count)
  const peerOf = ({ member, instance, address }: Claim): GroupPeer => ({
    instance,
    address,
    partitions: shares.get(member) ?? [],
    standbys: standbys.get(member) ?? [],
  })
  const peers = packMembers(claims.map(peerOf))
  return new Map(
    claims.map(({ member }) => {
      const told = { standbys: standbys.get(member) ?? [], members: peers }
      return [member, packShare(topics, shares.get(member) ?? [], told)]
    }),
  )
}

export const haveSame = (some: readonly string[], others: readonly string[]): boolean =>
  some.length === others.length && some.every((topic) => others.includes(topic))
