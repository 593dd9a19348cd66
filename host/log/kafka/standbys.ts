// Whose copies of a group's tables lie with whom: of each as many as are wanted, evenly, and rather with those who lack least of it.
import {
  ascending,
  type Claim,
  cheapest,
  copiesWanted,
  membersOf,
  noRank,
  type Ranks,
  ranksByPartition,
  type Shares,
} from './claim.js'

/** `shares`: who owns what. The same claims give the same, whatever their order. */
export function standbysOf(claims: readonly Claim[], shares: Shares, count: number): Shares {
  const copies = copiesWanted(claims)
  const standbys = new Standbys(membersOf(claims), ranksByPartition(claims), shares)
  if (copies > 0) {
    standbys.spread(copies, Math.ceil((count * copies) / claims.length))
    standbys.level()
  }
  return standbys.shares()
}

class Standbys {
  readonly #members: readonly string[]
  readonly #ranks: Ranks
  readonly #owners: ReadonlyMap<number, string>
  readonly #standbys: ReadonlyMap<string, Set<number>>

  constructor(members: readonly string[], ranks: Ranks, shares: Shares) {
    this.#members = members
    this.#ranks = ranks
    // In order of the owners: what one of them leaves behind is spread over all others.
    this.#owners = new Map(
      members.flatMap((member) => (shares.get(member) ?? []).map((one) => [one, member] as const)),
    )
    this.#standbys = new Map(members.map((member) => [member, new Set<number>()]))
  }

  spread(copies: number, most: number): void {
    const ofOwner = new Map<string, number>()
    for (const [partition, owner] of this.#owners) {
      const cost = (member: string): number[] => [
        this.#load(member) >= most ? 1 : 0,
        this.#rank(partition, member),
        ofOwner.get(`${owner} ${member}`) ?? 0,
        this.#load(member),
      ]
      const others = this.#members.filter((member) => member !== owner)
      for (const member of cheapest(others, cost, copies)) {
        this.#standbys.get(member)?.add(partition)
        const pair = `${owner} ${member}`
        ofOwner.set(pair, (ofOwner.get(pair) ?? 0) + 1)
      }
    }
  }

  /** What came last may have found room with nobody but who owns it. */
  level(): void {
    for (let isMoved = true; isMoved; ) {
      const byLoad = [...this.#members].sort((a, b) => this.#load(a) - this.#load(b))
      isMoved = byLoad.some((to) => byLoad.toReversed().some((from) => this.#moveOne(from, to)))
    }
  }

  shares(): Shares {
    return new Map(
      [...this.#standbys].map(([member, own]) => [member, [...own].sort(ascending)] as const),
    )
  }

  #moveOne(from: string, to: string): boolean {
    if (this.#load(from) < this.#load(to) + 2) return false
    const [own, others] = [this.#standbys.get(from), this.#standbys.get(to)]
    const [best] = [...(own ?? [])]
      .filter((one) => this.#owners.get(one) !== to && others?.has(one) !== true)
      .sort((a, b) => this.#rank(a, to) - this.#rank(b, to) || b - a)
    if (best === undefined) return false
    own?.delete(best)
    others?.add(best)
    return true
  }

  #load(member: string): number {
    return this.#standbys.get(member)?.size ?? 0
  }

  #rank(partition: number, member: string): number {
    return this.#ranks.get(partition)?.get(member) ?? noRank
  }
}
