// Made-up events: users of five kinds that nobody is told of, some of whom change. The same seed, the same events.
import { draw, randomFrom } from '../random.js'
import { categories } from './segments.js'

type Category = (typeof categories)[number]

export interface Event {
  readonly user: string
  readonly category: Category
}

/** How often each kind of user does what, in the order of the categories. */
const kinds = {
  commuter: [32, 8, 10, 6, 5, 8, 26, 5],
  fan: [30, 28, 8, 16, 4, 5, 5, 4],
  player: [6, 14, 30, 30, 6, 6, 4, 4],
  parent: [10, 5, 8, 5, 30, 10, 6, 26],
  traveller: [10, 5, 16, 4, 28, 28, 5, 4],
}
export type Kind = keyof typeof kinds
const kindNames: readonly Kind[] = ['commuter', 'fan', 'player', 'parent', 'traveller']
const sizes = [30, 25, 20, 15, 10]

export interface EventsOptions {
  readonly seed: number
  readonly users: number
  /** Of whom nothing is seen while the others' events come. */
  readonly heldOut: number
  readonly eventsOfUser: number
  /** The share of users who become another kind halfway. */
  readonly changing: number
}

export interface Events {
  readonly events: readonly Event[]
  readonly heldOut: readonly Event[]
  /** What each user is at the end. */
  readonly kinds: ReadonlyMap<string, Kind>
  readonly changed: ReadonlySet<string>
}

/** What the test, and `print.js`, send. */
export const shownEvents: EventsOptions = {
  seed: 11,
  users: 450,
  heldOut: 150,
  eventsOfUser: 40,
  changing: 0.15,
}

export function makeEvents(options: EventsOptions): Events {
  const { seed, users, heldOut, eventsOfUser, changing } = options
  const random = randomFrom(seed)
  const kindOf = new Map<string, Kind>()
  const changed = new Set<string>()
  const draws = (): Kind => kindNames[draw(random, sizes)] ?? 'commuter'
  const eventsOf = (user: string): Event[] => {
    const first = draws()
    const other = kindNames.filter((kind) => kind !== first)
    const isChanging = random() < changing
    const last = isChanging ? (other[Math.floor(random() * other.length)] ?? first) : first
    kindOf.set(user, last)
    if (isChanging) changed.add(user)
    return Array.from({ length: eventsOfUser }, (_, n) => {
      const weights = kinds[n < eventsOfUser / 2 ? first : last]
      return { user, category: categories[draw(random, weights)] ?? 'news' }
    })
  }
  const named = (prefix: string, count: number) =>
    Array.from({ length: count }, (_, n) => eventsOf(`${prefix}-${n + 1}`))
  const known = mixed(random, named('user', users))
  return { events: known, heldOut: mixed(random, named('guest', heldOut)), kinds: kindOf, changed }
}

/** As they happen: any user is next; each user's events stay in order. */
function mixed(random: () => number, queues: Event[][]): Event[] {
  const all: Event[] = []
  const left = queues.map((queue) => [...queue].reverse())
  while (left.length > 0) {
    const index = Math.floor(random() * left.length)
    const event = left[index]?.pop()
    if (event === undefined) left.splice(index, 1)
    else all.push(event)
  }
  return all
}
