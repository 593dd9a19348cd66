// What the functions share: how an edge is named, and what is known of it.
import { keyOf } from 'millrace'

export const kinds = ['view', 'like', 'message'] as const
export type Kind = (typeof kinds)[number]

/** What one of the two has done to the other. */
export interface Tally {
  view: number
  like: number
  message: number
  /** Of the latest, in milliseconds since 1970. */
  last: number
}

/** As the user sees it who stands first in the key. A direction in which nothing has happened is left out. */
export interface Edge {
  sent?: Tally
  received?: Tally
}

/** `alice!bob` in the log and over HTTP: alice's side of what is between the two. The prefix `alice!` has all of hers and nobody else's, whatever the names. */
export const sideKey = keyOf({ user: 'text', other: 'text' })
