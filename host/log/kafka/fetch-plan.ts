// What one Fetch asks for: whose turn it is, and how much may come, so that what is held stays within its bounds.
import type { Asked, KafkaSeat } from './seat.js'

export interface Fetch {
  readonly asked: readonly Asked[]
  readonly topicIds: ReadonlyMap<string, string>
  readonly maxBytes: number
  readonly waitMs: number
}

export interface PlanOptions {
  /** Of one broker; they have room. */
  readonly seats: readonly KafkaSeat[]
  /** Counts fetches, so that each partition is once the first. */
  readonly turn: number
  /** What an answer should have. */
  readonly wholeBytes: number
  /** What there is room for, whatever the partitions hold; may be negative. */
  readonly freeBytes: number
  readonly waitMs: number
}

/** Of a partition, and of an answer. */
export const leastBytes = 16 * 1024
/** An answer is shared by so many that have a lot. */
const width = 2

export function planFetch(options: PlanOptions): Fetch {
  const { seats, turn, wholeBytes, freeBytes, waitMs } = options
  let maxBytes = Math.min(wholeBytes, freeBytes)
  let chosen = inTurn(seats, turn)
  if (maxBytes < leastBytes) {
    // What others hold may never be taken, paused as they are.
    maxBytes = leastBytes
    chosen = chosen.filter(({ heldBytes }) => heldBytes === 0)
  }
  const share = Math.floor(maxBytes / Math.max(1, Math.min(width, chosen.length)))
  const topicIds = new Map<string, string>()
  const asked: Asked[] = []
  for (const seat of chosen) {
    const id = topicIds.get(seat.topic)
    // Of a topic that was made anew between two looks at it: they go by different requests.
    if (id !== undefined && id !== seat.topicId) continue
    topicIds.set(seat.topic, seat.topicId)
    const isFirst = asked.length === 0
    if (isFirst) maxBytes = Math.max(maxBytes, seat.leastBytes)
    asked.push({
      seat,
      offset: seat.next,
      maxBytes: Math.max(leastBytes, share, seat.leastBytes),
      isFirst,
    })
  }
  return { asked, topicIds, maxBytes, waitMs }
}

/** A broker fills an answer from the first partition on: each is the first at times, and sooner if it got nothing. */
function inTurn(seats: readonly KafkaSeat[], turn: number): KafkaSeat[] {
  const first = turn % Math.max(1, seats.length)
  const turned = [...seats.slice(first), ...seats.slice(0, first)]
  const starved = turned.filter(({ isStarved }) => isStarved)
  return starved.length === 0 ? turned : [...new Set([...starved, ...turned])]
}
