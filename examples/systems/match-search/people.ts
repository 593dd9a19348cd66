// What the functions and the search share: people as a cell has them, and how fine places and times are.

/** Of a cell's name: 1.2 km by 0.6 km at the equator, 0.7 km by 0.6 km in Berlin. */
export const cellLength = 6
/** Of a place's name: 38 m by 19 m at the equator, so that its centre is no more than 22 m away from anywhere in it. */
export const placeLength = 8
export const errorMetres = 22

/** Who stays in one place is told of again so often. */
export const refreshMs = 5 * 60_000
/** Who was not told of for so long is gone. */
export const goneMs = 15 * 60_000

export const genders = ['f', 'm', 'x'] as const
export type Gender = (typeof genders)[number]

export interface Profile {
  readonly age: number
  readonly gender: Gender
}

export interface Seen extends Profile {
  readonly user: string
  /** Grows with each change of the user: of two, the higher one is true. */
  readonly seq: number
  /** A geohash. */
  readonly place: string
  /** In milliseconds since 1970. */
  readonly seenAt: number
}

/** What a cell is told, under its name. */
export type Move =
  | { readonly enter: Seen; readonly from?: string }
  | { readonly leave: string; readonly seq: number }

export const cellOf = (place: string): string => place.slice(0, cellLength)
