// What the leader of a group sends to its members: which partitions each gets, and who has which.
import { shareOut } from './assignor.js'
import { packShare, unpackClaim } from './group-data.js'
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
  const owners = new Map(
    claims.flatMap(({ member, instance }) =>
      (shares.get(member) ?? []).map((partition): [number, string] => [partition, instance]),
    ),
  )
  return new Map(
    claims.map(({ member }) => [member, packShare(topics, shares.get(member) ?? [], owners)]),
  )
}

export const haveSame = (some: readonly string[], others: readonly string[]): boolean =>
  some.length === others.length && some.every((topic) => others.includes(topic))
