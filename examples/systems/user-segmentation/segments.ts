// What a segment is, and which one is nearest to a profile.

export const categories = [
  'news',
  'sport',
  'music',
  'games',
  'cooking',
  'travel',
  'finance',
  'kids',
] as const

/** For each segment the share of each category. */
export type Model = number[][]

/** As many segments as categories. Before anything is learned each is of those who do one thing somewhat more than others do. */
export const firstModel: Model = categories.map((_, segment) =>
  categories.map((_, category) => (0.7 + (segment === category ? 2.4 : 0)) / 8),
)

/** The first of those whose shares differ least from the profile's, by the sum of squares. */
export function nearestSegment(model: Model, profile: readonly number[]): number {
  const total = profile.reduce((sum, events) => sum + events, 0)
  const distances = model.map((shares) =>
    shares.reduce((sum, share, index) => sum + (share - (profile[index] ?? 0) / total) ** 2, 0),
  )
  return distances.indexOf(Math.min(...distances))
}

/** How many keys share the work of assigning; each has a copy of the model. Partitions above this number stay idle there. */
const shards = 8

export const shardNames = Array.from({ length: shards }, (_, index) => `shard-${index}`)

/** The same for a user each time, and spread evenly (FNV-1a). */
export function shardOf(user: string): string {
  let hash = 0x811c9dc5
  for (const unit of user) hash = Math.imul(hash ^ (unit.codePointAt(0) ?? 0), 0x01000193)
  return `shard-${(hash >>> 0) % shards}`
}
