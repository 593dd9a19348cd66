// Who is near a place: reads the cells around it at once, and looks at whoever is in them.
import { cellsAround, centreOf, distance, maxLatitude, type Position } from './geohash.js'
import { cellLength, type Gender, goneMs, type Seen } from './people.js'

export const maxRadius = 5_000

export interface Query extends Position {
  /** In metres, up to 5,000: larger ones want larger cells. */
  readonly radius: number
  /** In milliseconds since 1970. */
  readonly now: number
  readonly minAge?: number
  readonly maxAge?: number
  /** Absent: all. */
  readonly genders?: readonly Gender[]
}

export interface Found extends Seen {
  /** In metres, wrong by `errorMetres` at most. */
  readonly distance: number
}

/** One batch read of the table `cells`. */
export type ReadCells = (
  cells: readonly string[],
) => Promise<Readonly<Record<string, readonly Seen[] | null>>>

/** The nearest first. Whoever is nearer than the radius by more than the error is found, and nobody who is farther by more than it. */
export async function search(read: ReadCells, query: Query): Promise<Found[]> {
  const { now, minAge = 0, maxAge = Number.POSITIVE_INFINITY, genders } = query
  check(query)
  const cells = await read(cellsAround(query, query.radius, cellLength))
  return [...newest(Object.values(cells).flatMap((each) => each ?? []))]
    .filter(({ seenAt }) => seenAt >= now - goneMs)
    .filter(
      ({ age, gender }) => age >= minAge && age <= maxAge && (genders?.includes(gender) ?? true),
    )
    .map((each) => ({ ...each, distance: distance(query, centreOf(each.place)) }))
    .filter((each) => each.distance <= query.radius)
    .sort((a, b) => a.distance - b.distance)
}

/** Elsewhere the cells would be too many, or none. */
function check({ lat, lon, radius }: Query): void {
  if (!(radius > 0 && radius <= maxRadius)) {
    throw new RangeError(`the radius is ${radius}: give metres, more than 0, up to ${maxRadius}`)
  }
  if (!(Math.abs(lat) <= maxLatitude && Math.abs(lon) <= 180)) {
    throw new RangeError(
      `the place is ${lat}, ${lon}: give degrees, up to ${maxLatitude} north or south, up to 180 east or west`,
    )
  }
}

/** Who is just going from one cell to another may still be in both. */
function newest(all: readonly Seen[]): Iterable<Seen> {
  const byUser = new Map<string, Seen>()
  for (const each of all) {
    if (each.seq > (byUser.get(each.user)?.seq ?? 0)) byUser.set(each.user, each)
  }
  return byUser.values()
}

/** Of a host. */
export function cellsOf(url: string): ReadCells {
  return async (keys) => {
    const response = await fetch(`${url}/views/cells`, {
      method: 'POST',
      body: JSON.stringify({ keys }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${url}/views/cells answered ${response.status}: ${text}`)
    return JSON.parse(text)
  }
}
