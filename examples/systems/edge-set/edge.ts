// What the functions share: how an edge is named, and what is known of it.

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

/**
 * `alice/bob`: alice's side of what is between the two. The prefix `alice/` has all of hers and nobody else's, whatever the names: a
 * slash of their own is written as %2F, and so a percent sign as %25.
 */
export const edgeKey = (user: string, other: string): string =>
  `${edgePrefix(user)}${escaped(other)}`

export const edgePrefix = (user: string): string => `${escaped(user)}/`

/** Whose side it is. */
export const userOf = (key: string): string =>
  key.slice(0, key.indexOf('/')).replaceAll('%2F', '/').replaceAll('%25', '%')

const escaped = (user: string): string => user.replaceAll('%', '%25').replaceAll('/', '%2F')
