// What the functions say to each other.

/** To an item, which is the key: of a user who likes it. */
export interface Ask {
  user: string
  /** The user's likes and visits, counted: only the answers to the newest are of use. */
  round: number
  /** How many items are asked in this round, each of which answers once. */
  asked: number
  /** This item is the one that was liked just now. */
  isLiked: boolean
  /** The items that the user likes together with this one since just now. */
  with: string[]
}

/** To a user, who is the key: what else is liked by those who like one item. */
export interface Advice {
  round: number
  asked: number
  item: string
  /** How often the item was liked. */
  likes: number
  /** How often the nearest items were liked together with it, most often first. */
  near: [item: string, together: number][]
}

/** To the chart: how often an item was liked. */
export interface Milestone {
  item: string
  likes: number
}
