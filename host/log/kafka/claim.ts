// What members of a group claim when they join, and how near each of them is to a partition's table by that.
import type { GroupEdges, GroupPeer } from '../log.js'
import { type Nearness, ranksOf } from './nearness.js'

/** What a member says of itself when it joins. */
export interface Claim extends Nearness, Pick<GroupPeer, 'instance' | 'address' | 'version'> {
  readonly member: string
  readonly topics: readonly string[]
  readonly owned: readonly number[]
  /** How many members are to keep a copy of each table beside its owner's. */
  readonly standbys: number
  /** Absent: it does not say. */
  readonly edges?: GroupEdges
  /** When it began with these edges, in ms since 1970. */
  readonly since?: number
}

/** By member. */
export type Shares = ReadonlyMap<string, readonly number[]>

/** By partition and member, of those who have a copy: as in `ranksOf`. */
export type Ranks = ReadonlyMap<number, ReadonlyMap<string, number>>

/** Of one that has no copy: behind all others. */
export const noRank = Number.MAX_SAFE_INTEGER

export function ranksByPartition(claims: readonly Claim[]): Ranks {
  const found = new Map<number, Map<string, number>>()
  for (const claim of claims) {
    for (const [partition, rank] of ranksOf(claim)) {
      found.set(partition, (found.get(partition) ?? new Map()).set(claim.member, rank))
    }
  }
  return found
}

/** Of each table, beside its owner's, if there are so many members. */
export const copiesWanted = (claims: readonly Claim[]): number =>
  Math.min(Math.max(0, ...claims.map(({ standbys }) => standbys)), claims.length - 1)

export const membersOf = (claims: readonly Claim[]): string[] =>
  claims.map(({ member }) => member).sort()

/** The first of them by cost, compared place by place, then by name. Few are looked for among many: they are not all sorted. */
export function cheapest(
  members: readonly string[],
  cost: (member: string) => readonly number[],
  count: number,
): string[] {
  const left = new Map(members.map((member) => [member, cost(member)]))
  const found: string[] = []
  while (found.length < count && left.size > 0) {
    const [member] = [...left].reduce((least, one) => (isBefore(one, least) ? one : least))
    found.push(member)
    left.delete(member)
  }
  return found
}

type Priced = readonly [member: string, cost: readonly number[]]

function isBefore([member, cost]: Priced, [other, its]: Priced): boolean {
  const at = cost.findIndex((part, place) => part !== its[place])
  return at === -1 ? member < other : (cost[at] ?? 0) < (its[at] ?? 0)
}

export const ascending = (a: number, b: number): number => a - b
