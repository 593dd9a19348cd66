// Shares out a group's partitions: each with all its inputs to one member, and to the one that had it, as far as that is fair.

/** What a member says of itself when it joins. */
export interface Claim {
  readonly member: string
  readonly topics: readonly string[]
  readonly instance: string
  readonly owned: readonly number[]
}

export type Shares = ReadonlyMap<string, readonly number[]>

/**
 * Partitions from 0 to `count`. Nobody has two more than another, and whoever had a partition keeps it unless it would have more
 * than its share: then its highest ones go. The same claims give the same shares, whatever their order.
 */
export function shareOut(claims: readonly Claim[], count: number): Shares {
  const members = claims.map(({ member }) => member).sort()
  const shares = new Map(members.map((member): [string, number[]] => [member, []]))
  const least = Math.floor(count / members.length)
  let larger = count % members.length
  const taken = new Set<number>()
  // Who has the most comes first: its larger share moves the fewest.
  const owners = [...claims].sort(
    (a, b) => b.owned.length - a.owned.length || (a.member < b.member ? -1 : 1),
  )
  for (const { member, owned } of owners) {
    const mine = [...new Set(owned)]
      .filter((partition) => partition >= 0 && partition < count && !taken.has(partition))
      .sort((a, b) => a - b)
    const isLarger = larger > 0 && mine.length > least
    if (isLarger) larger -= 1
    for (const partition of mine.slice(0, least + (isLarger ? 1 : 0))) {
      taken.add(partition)
      shares.get(member)?.push(partition)
    }
  }
  const free = Array.from({ length: count }, (_, partition) => partition).filter(
    (partition) => !taken.has(partition),
  )
  for (const partition of free) {
    const [smallest] = [...shares.values()].sort((a, b) => a.length - b.length)
    smallest?.push(partition)
  }
  for (const share of shares.values()) share.sort((a, b) => a - b)
  return shares
}
