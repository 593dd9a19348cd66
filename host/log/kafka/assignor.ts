// Shares out a group's partitions: each with all its inputs to one member, and to the one that had it, as far as that is fair.
import {
  ascending,
  type Claim,
  cheapest,
  membersOf,
  noRank,
  type Ranks,
  ranksByPartition,
  type Shares,
} from './claim.js'

/**
 * Partitions from 0 to `count`. Nobody has two more than another, and whoever had a partition keeps it unless it would have more
 * than its share: then those go first of which one that gets more lacks least, then its highest ones. What is free goes rather to who
 * lacks less of it. The same claims give the same shares, whatever their order.
 */
export function shareOut(claims: readonly Claim[], count: number): Shares {
  const sharing = new Sharing(claims, count)
  sharing.keep()
  sharing.nearest()
  sharing.rest()
  return sharing.shares()
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
    const members = membersOf(claims)
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
      for (const partition of mine) if (this.#hasRoom(member)) this.#give(partition, member)
    }
  }

  /** What is free, to who has some of it, within its share: what lacks least first. */
  nearest(): void {
    const found = new Set([...this.#ranks.values()].flatMap((ranks) => [...ranks.values()]))
    for (const rank of [...found].sort(ascending)) {
      for (const partition of this.#free()) {
        const those = [...(this.#ranks.get(partition) ?? [])].flatMap(([member, its]) =>
          its === rank && this.#hasRoom(member) ? member : [],
        )
        const smallest = this.#smallest(those)
        if (smallest !== undefined) this.#give(partition, smallest)
      }
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

  #hasRoom(member: string): boolean {
    const size = this.#size(member)
    return size < this.#least || (size === this.#least && this.#larger > 0)
  }

  /** Of those who get more. */
  #leastRank(partition: number): number {
    const ranks = [...(this.#ranks.get(partition) ?? [])]
    return Math.min(noRank, ...ranks.flatMap(([of, rank]) => (this.#poor.has(of) ? rank : [])))
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
