// What each member of a group is given now. Where copies are kept, nothing goes to one that would have to replay a table first, if another has it.
import { shareOut } from './assignor.js'
import {
  ascending,
  type Claim,
  cheapest,
  copiesWanted,
  membersOf,
  type Ranks,
  ranksByPartition,
  type Shares,
} from './claim.js'
import { standbysOf } from './standbys.js'

export interface Plan {
  readonly owned: Shares
  /** Copies of others' tables that it is to keep. */
  readonly copied: Shares
}

/**
 * Aimed at is an even sharing. Where standbys are wanted, a partition waits for that until its owner to be has a warm copy: meanwhile it
 * stays where it was, or goes to a standby, however much that has. So do copies: those that are warm stay until the others are. What is
 * copied meanwhile comes on top, and when it is there the group has to share out anew (`hasMoreToTake`). `isShort`: whose changelog is
 * replayed at once.
 */
export function planOf(
  claims: readonly Claim[],
  count: number,
  isShort: (partition: number) => boolean = () => false,
): Plan {
  const aim = shareOut(claims, count)
  const copied = standbysOf(claims, aim, count)
  if (copiesWanted(claims) <= 0) return { owned: aim, copied }
  return new Waiting(claims, isShort).plan(aim, copied)
}

class Waiting {
  readonly #claims: readonly Claim[]
  readonly #members: readonly string[]
  readonly #isShort: (partition: number) => boolean
  readonly #copies: number
  readonly #ranks: Ranks
  readonly #loads: Map<string, number>

  constructor(claims: readonly Claim[], isShort: (partition: number) => boolean) {
    this.#claims = [...claims].sort((a, b) => (a.member < b.member ? -1 : 1))
    this.#members = membersOf(claims)
    this.#isShort = isShort
    this.#copies = copiesWanted(claims)
    this.#ranks = ranksByPartition(claims)
    this.#loads = new Map(this.#members.map((member) => [member, 0]))
  }

  plan(aim: Shares, aimedCopies: Shares): Plan {
    const owners = this.#owners(aim)
    const copies = new Map(
      this.#members.map((member) => [member, new Set(aimedCopies.get(member))]),
    )
    for (const [member, partitions] of aim) {
      for (const partition of partitions) {
        if (owners.get(partition) !== member) copies.get(member)?.add(partition)
      }
    }
    for (const [partition, owner] of owners) {
      copies.get(owner)?.delete(partition)
      this.#keepWarm(partition, owner, copies)
    }
    return { owned: byMember(this.#members, owners), copied: sorted(copies) }
  }

  #owners(aim: Shares): ReadonlyMap<number, string> {
    const owners = new Map<number, string>()
    const waiting: [partition: number, aimed: string][] = []
    for (const [member, partitions] of aim) {
      for (const partition of partitions) {
        if (this.#isReady(partition, member)) this.#give(owners, partition, member)
        else waiting.push([partition, member])
      }
    }
    for (const [partition, aimed] of waiting.sort(([a], [b]) => a - b)) {
      this.#give(owners, partition, this.#holder(partition) ?? aimed)
    }
    return owners
  }

  /** Who had it, if it has its table; else the one of those who have it that has least to do. */
  #holder(partition: number): string | undefined {
    const warm = this.#members.filter((member) => this.#isReady(partition, member))
    const former = this.#claims.find(
      ({ member, owned }) => owned.includes(partition) && warm.includes(member),
    )
    return former?.member ?? cheapest(warm, (member) => [this.#loads.get(member) ?? 0], 1)[0]
  }

  #give(owners: Map<number, string>, partition: number, member: string): void {
    owners.set(partition, member)
    this.#loads.set(member, (this.#loads.get(member) ?? 0) + 1)
  }

  /** As many warm copies as are wanted, as far as there are any. */
  #keepWarm(partition: number, owner: string, copies: ReadonlyMap<string, Set<number>>): void {
    const isCopied = (member: string) => copies.get(member)?.has(partition) === true
    const warm = this.#members.filter(
      (member) => member !== owner && this.#isReady(partition, member),
    )
    const missing = this.#copies - warm.filter(isCopied).length
    const left = warm.filter((member) => !isCopied(member))
    const load = (member: string) => [copies.get(member)?.size ?? 0]
    for (const member of cheapest(left, load, missing)) copies.get(member)?.add(partition)
  }

  #isReady(partition: number, member: string): boolean {
    return this.#isShort(partition) || this.#ranks.get(partition)?.get(member) === 0
  }
}

/** What a member has after a sharing out. */
export interface Taken {
  readonly partitions: readonly number[]
  readonly standbys: readonly number[]
}

/**
 * Whether one of the copies that a member was given to make, and has made, lets the group come nearer to what it aims at: the table's owner
 * has more than its share, or there are more copies than are `wanted`.
 */
export function hasMoreToTake(
  own: Taken,
  all: readonly Taken[],
  made: readonly number[],
  wanted: number,
): boolean {
  const standbys = new Set(own.standbys)
  return made.some((partition) => {
    if (!standbys.has(partition)) return false
    const owner = all.find(({ partitions }) => partitions.includes(partition))
    const isAhead = (owner?.partitions.length ?? 0) > own.partitions.length + 1
    return isAhead || all.filter((one) => one.standbys.includes(partition)).length > wanted
  })
}

function byMember(members: readonly string[], owners: ReadonlyMap<number, string>): Shares {
  const shares = new Map(members.map((member): [string, Set<number>] => [member, new Set()]))
  for (const [partition, owner] of owners) shares.get(owner)?.add(partition)
  return sorted(shares)
}

const sorted = (shares: ReadonlyMap<string, ReadonlySet<number>>): Shares =>
  new Map([...shares].map(([member, own]) => [member, [...own].sort(ascending)] as const))
