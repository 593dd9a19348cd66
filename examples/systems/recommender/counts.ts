// Counts by item: the largest first, equal ones by name, so that the order does not depend on that in which they came.

/** Entries, not an object: an item may be called `constructor`. */
export type Counts = [item: string, count: number][]

/**
 * Adds one. When there are too many, an item that is new takes the place and the count of the smallest (Space-Saving): what is kept is
 * too high by at most the smallest count, and what is not kept has been counted no more often than that.
 */
export function count(counts: Counts, item: string, limit: number): void {
  const index = counts.findIndex(([each]) => each === item)
  const [known] = index === -1 ? [] : counts.splice(index, 1)
  const [displaced] = known === undefined && counts.length >= limit ? counts.splice(-1) : []
  put(counts, [item, (known ?? displaced ?? ['', 0])[1] + 1])
}

/** Where it belongs. */
function put(counts: Counts, entry: Counts[number]): void {
  const index = counts.findIndex((each) => order(each, entry) > 0)
  counts.splice(index === -1 ? counts.length : index, 0, entry)
}

export function largest(counts: Readonly<Counts>, limit: number): Counts {
  return [...counts].sort(order).slice(0, limit)
}

function order([item, count]: Counts[number], [other, otherCount]: Counts[number]): number {
  return otherCount - count || (item < other ? -1 : 1)
}
