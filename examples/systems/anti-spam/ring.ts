// Those who send the same text within an hour, and when it is bulk.

/** Different receivers that make a text bulk, whoever sends it. */
export const bulkReceivers = 12
/** Senders that make it so, to whomever. */
export const bulkSenders = 4

export interface Ring {
  /** While it is not bulk. */
  receivers: string[]
  /** Senders who are not told yet, as it is not bulk. */
  waiting: string[]
  /** Senders who are. */
  told: number
  /** Whom the next ones are linked to. */
  head?: string
}

/** Members who are linked to the same one. */
const linked = 16

/** The next member, and whom it is to be linked to: each sixteenth becomes the head of those who follow, so that no list grows. */
export function joined(ring: Ring, member: string): { ring: Ring; link?: string } {
  const { head, told } = ring
  const isHead = told % linked === 0
  const next = { ...ring, told: told + 1, ...(isHead && { head: member }) }
  return { ring: next, ...(head !== undefined && { link: head }) }
}
