// Shares out a group's partitions: each with all its inputs to one member, and to the one that had it, as far as that is fair.
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

export type Shares = ReadonlyMap<string, readonly number[]>

/**
 * Partitions from 0 to `count`. Nobody has two more than another, and whoever had a partition keeps it unless it would have more
 * than its share: then those go first of which one that gets more lacks least, then its highest ones. What is free goes rather to who
 * lacks less of it. Where there are standbys, a partition that nobody of them had goes to one of them though it has its share already,
 * until partitions are shared out again. The same claims give the same shares, whatever their order.
 */
export function shareOut(claims: readonly Claim[], count: number): Shares {
  const sharing = new Sharing(claims, count)
  sharing.keep()
  sharing.warmTo((member) => sharing.hasRoom(member))
  if (standbysWanted(claims) > 0) sharing.inherit()
  sharing.nearest()
  sharing.rest()
  return sharing.shares()
}

/** Whose copy each member keeps: of each partition as many as are wanted and there are others, rather those who lack least of it. */
export function standbysOf(claims: readonly Claim[], shares: Shares, count: number): Shares {
  const members = claims.map(({ member }) => member).sort()
  const standbys = new Map(members.map((member): [string, number[]] => [member, []]))
  const copies = Math.min(standbysWanted(claims), members.length - 1)
  if (copies <= 0) return standbys
  const ranks = ranksByPartition(claims)
  const most = Math.ceil((count * copies) / members.length)
  // The partitions of one member are spread over all others: they share what it leaves behind.
  const ofOwner = new Map<string, number>()
  for (const [owner, partitions] of [...shares].sort(byMember)) {
    for (const partition of partitions) {
      const load = (member: string) => standbys.get(member)?.length ?? 0
      const rank = (member: string) => ranks.get(partition)?.get(member) ?? none
      const cost = (member: string): number[] => [
        load(member) >= most ? 1 : 0,
        rank(member),
        ofOwner.get(`${owner} ${member}`) ?? 0,
        load(member),
      ]
      const others = members.filter((member) => member !== owner)
      for (const member of cheapest(others, cost, copies)) {
        standbys.get(member)?.push(partition)
        const pair = `${owner} ${member}`
        ofOwner.set(pair, (ofOwner.get(pair) ?? 0) + 1)
      }
    }
  }
  for (const own of standbys.values()) own.sort(ascending)
  return standbys
}

class Sharing {
  readonly #claims: readonly Claim[]
  readonly #count: number
  readonly #shares: ReadonlyMap<string, number[]>
  readonly #ranks: Ranks
  readonly #taken = new Set<number>()
  /** Those who had less than their share: they get more, whatever happens. */
  readonly #poor: ReadonlySet<string>
  readonly #least: number
  /** How many more may have one above the least. */
  #larger: number

  constructor(claims: readonly Claim[], count: number) {
    this.#claims = claims
    this.#count = count
    this.#ranks = ranksByPartition(claims)
    const members = claims.map(({ member }) => member).sort()
    this.#shares = new Map(members.map((member): [string, number[]] => [member, []]))
    this.#least = Math.floor(count / members.length)
    this.#larger = count % members.length
    const poor = claims.filter(({ owned }) => owned.length < count / members.length)
    this.#poor = new Set(poor.map(({ member }) => member))
  }

  keep(): void {
    // Who has the most comes first: its larger share moves the fewest.
    const owners = [...this.#claims].sort(
      (a, b) => b.owned.length - a.owned.length || (a.member < b.member ? -1 : 1),
    )
    for (const { member, owned } of owners) {
      const mine = [...new Set(owned)]
        .filter((one) => one >= 0 && one < this.#count && !this.#taken.has(one))
        .sort((a, b) => this.#leastRank(b) - this.#leastRank(a) || a - b)
      for (const partition of mine) if (this.hasRoom(member)) this.#give(partition, member)
    }
  }

  /** What its owner has left behind, to whoever has it warm. What one gives that has too many would come back to it. */
  inherit(): void {
    const owned = new Set(this.#claims.flatMap((claim) => claim.owned))
    this.warmTo(
      () => true,
      (partition) => !owned.has(partition),
    )
  }

  /** What is free and warm, to whoever has it warm and may have it. */
  warmTo(mayHave: (member: string) => boolean, isMeant = (_: number) => true): void {
    this.#toThoseAt(0, mayHave, isMeant)
  }

  /** What is free, to who has some of it, within its share: what lacks least first. */
  nearest(): void {
    const found = new Set([...this.#ranks.values()].flatMap((ranks) => [...ranks.values()]))
    for (const rank of [...found].sort(ascending)) {
      this.#toThoseAt(rank, (member) => this.hasRoom(member))
    }
  }

  rest(): void {
    for (const partition of this.#free()) {
      const smallest = this.#smallest([...this.#shares.keys()])
      if (smallest !== undefined) this.#give(partition, smallest)
    }
  }

  shares(): Shares {
    for (const share of this.#shares.values()) share.sort(ascending)
    return this.#shares
  }

  hasRoom(member: string): boolean {
    const size = this.#size(member)
    return size < this.#least || (size === this.#least && this.#larger > 0)
  }

  #toThoseAt(
    rank: number,
    mayHave: (member: string) => boolean,
    isMeant = (_: number) => true,
  ): void {
    for (const partition of this.#free().filter(isMeant)) {
      const those = [...(this.#ranks.get(partition) ?? [])].filter(([, its]) => its === rank)
      const smallest = this.#smallest(those.map(([member]) => member).filter(mayHave))
      if (smallest !== undefined) this.#give(partition, smallest)
    }
  }

  /** Of those who get more. */
  #leastRank(partition: number): number {
    const ranks = [...(this.#ranks.get(partition) ?? [])]
    return Math.min(none, ...ranks.flatMap(([of, rank]) => (this.#poor.has(of) ? rank : [])))
  }

  #give(partition: number, member: string): void {
    if (this.#size(member) === this.#least) this.#larger -= 1
    this.#shares.get(member)?.push(partition)
    this.#taken.add(partition)
  }

  #free(): number[] {
    return Array.from({ length: this.#count }, (_, partition) => partition).filter(
      (partition) => !this.#taken.has(partition),
    )
  }

  #smallest(members: readonly string[]): string | undefined {
    return cheapest(members, (member) => [this.#size(member)], 1)[0]
  }

  #size(member: string): number {
    return this.#shares.get(member)?.length ?? 0
  }
}

const standbysWanted = (claims: readonly Claim[]): number =>
  Math.max(0, ...claims.map(({ standbys }) => standbys))

/** By partition and member, of those who have a copy. */
type Ranks = ReadonlyMap<number, ReadonlyMap<string, number>>

/** Behind all others. */
const none = Number.MAX_SAFE_INTEGER

function ranksByPartition(claims: readonly Claim[]): Ranks {
  const found = new Map<number, Map<string, number>>()
  for (const claim of claims) {
    for (const [partition, rank] of ranksOf(claim)) {
      found.set(partition, (found.get(partition) ?? new Map()).set(claim.member, rank))
    }
  }
  return found
}

/** The first of them by cost, compared place by place, then by name. Few are looked for among many: they are not all sorted. */
function cheapest(
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

const ascending = (a: number, b: number): number => a - b

const byMember = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number =>
  a < b ? -1 : 1
