// Made-up messages and reports of some days: friends, spammers, scammers, and those who are easily taken for them. The same seed, the same events.
import { randomFrom } from '../random.js'
import { chat, disguised, sentence } from './texts.js'
import { dayMs, hourMs, minuteMs } from './verdict.js'

export type Event = { readonly user: string; readonly at: number } & (
  | { readonly stream: 'messages'; readonly value: { readonly to: string; readonly text: string } }
  | { readonly stream: 'reports'; readonly value: { readonly user: string } }
)

/** Nobody is told of what kind a user is. */
export const kinds = {
  /** Writes to friends. All who are of no other kind. */
  friend: { isBad: false, share: 0 },
  /** Writes to friends as fast as others speak. */
  chatterbox: { isBad: false, share: 0.03 },
  /** Tells the same to many who want to know. */
  organiser: { isBad: false, share: 0.03 },
  /** Hands on what scammers write. */
  dupe: { isBad: false, share: 0.02 },
  /** Reports everybody. */
  zealot: { isBad: false, share: 0.01 },
  /** Reports, with others, whom none of them likes. */
  bully: { isBad: false, share: 0.02 },
  /** Sends the same to as many as possible. */
  spammer: { isBad: true, share: 0.02 },
  /** Sends the same as seven others, each to few. */
  ringleader: { isBad: true, share: 0.035 },
  /** Writes to each victim in other words. */
  charmer: { isBad: true, share: 0.015 },
} as const
export type Kind = keyof typeof kinds
const names = Object.keys(kinds) as Kind[]

export interface Wanted {
  readonly seed: number
  readonly users: number
  readonly days: number
}

export interface Events {
  /** In the order in which they come, which is nearly that of their time. */
  readonly events: readonly Event[]
  readonly kinds: ReadonlyMap<string, Kind>
}

/** Those of the README and of its test. */
export const shown: Wanted = { seed: 5, users: 840, days: 4 }

export const begin = Date.UTC(2025, 0, 1)
/** How much later than another an event may come that was before it. */
const lateMs = 5_000
const ringSize = 8
/** How many of those who get it report what a bad user sends. */
const reported: Readonly<Partial<Record<Kind, number>>> = {
  spammer: 0.03,
  ringleader: 0.12,
  charmer: 0.35,
}
/** One of so many messages of anybody else is reported. */
const unjustly = 1 / 1_500

export function makeEvents(wanted: Wanted): Events {
  const crowd = new Crowd(wanted)
  for (const user of crowd.kinds.keys()) crowd.live(user)
  const random = randomFrom(wanted.seed + 1)
  const events = crowd.events
    .map((event) => ({ event, comes: event.at + lateMs * random() }))
    .sort((one, other) => one.comes - other.comes)
    .map(({ event }) => event)
  return { events, kinds: crowd.kinds }
}

class Crowd {
  readonly events: Event[] = []
  readonly kinds: ReadonlyMap<string, Kind>
  readonly #users: readonly string[]
  readonly #random: () => number
  readonly #days: number
  /** Of each ring the texts of its campaigns, and when they are sent. */
  readonly #campaigns = new Map<number, { readonly at: number; readonly text: string }[]>()

  readonly #habits: Readonly<Record<Kind, (user: string, friends: readonly string[]) => void>> = {
    friend: () => {},
    chatterbox: (user, friends) => this.#chatter(user, friends),
    organiser: (user) => this.#organise(user),
    dupe: (user, friends) => this.#handOn(user, friends),
    zealot: (user) => this.#reportAll(user),
    bully: (user) => this.#bully(user),
    spammer: (user) => this.#spam(user),
    ringleader: (user) => this.#lead(user),
    charmer: (user) => this.#charm(user),
  }

  constructor({ seed, users, days }: Wanted) {
    this.#random = randomFrom(seed)
    this.#days = days
    const others = names.flatMap((kind) =>
      Array.from({ length: Math.round(kinds[kind].share * users) }, () => kind),
    )
    const friends = Array.from({ length: users - others.length }, (): Kind => 'friend')
    const ofKinds = [...friends, ...others]
    this.kinds = new Map(ofKinds.map((kind, n) => [`user-${n + 1}`, kind]))
    this.#users = [...this.kinds.keys()]
  }

  live(user: string): void {
    const kind = this.kinds.get(user) ?? 'friend'
    const friends = Array.from({ length: 4 + this.#below(12) }, () => this.#someone())
    // Also who is bad has friends.
    const messages = this.#days * (kinds[kind].isBad ? 1 : 2 + this.#below(4))
    for (let n = 0; n < messages; n += 1) {
      this.#send(user, this.#pick(friends), chat(this.#random), this.#someTime())
    }
    this.#greet(user, friends)
    this.#habits[kind](user, friends)
  }

  /** On the second evening most tell some friends the same. */
  #greet(user: string, friends: readonly string[]): void {
    if (this.#random() < 0.4) return
    const at = begin + dayMs + 20 * hourMs + this.#below(2 * hourMs)
    for (const friend of friends.slice(0, 1 + this.#below(4))) {
      this.#send(user, friend, 'Happy new year to all of you!', at + this.#below(minuteMs))
    }
  }

  #chatter(user: string, friends: readonly string[]): void {
    for (let n = 0; n < this.#days; n += 1) {
      const at = this.#someTime()
      const messages = 8 + this.#below(16)
      const friend = this.#pick(friends)
      for (let m = 0; m < messages; m += 1) {
        this.#send(user, friend, chat(this.#random), at + this.#below(minuteMs))
      }
    }
  }

  #organise(user: string): void {
    const team = Array.from({ length: 8 + this.#below(14) }, () => this.#someone())
    for (let n = 0; n < this.#days; n += 1) {
      if (this.#random() < 0.5) continue
      const [text, at] = [sentence(this.#random), this.#someTime()]
      for (const member of team) this.#send(user, member, text, at + this.#below(10 * minuteMs))
    }
  }

  #handOn(user: string, friends: readonly string[]): void {
    const rings = Math.floor((kinds.ringleader.share * this.#users.length) / ringSize)
    const { text, at } = this.#pick(this.#campaignsOf(this.#below(rings)))
    for (const friend of friends.slice(0, 3 + this.#below(2))) {
      this.#send(user, friend, text, at + this.#below(hourMs / 2))
    }
  }

  #reportAll(user: string): void {
    for (let n = 0; n < this.#days * 30; n += 1) this.#report(user, this.#someone())
  }

  /** Eight of them agree on a victim for an evening. */
  #bully(user: string): void {
    const gang = Math.floor(this.#alike(user).indexOf(user) / 8)
    const evening = begin + (1 + (gang % this.#days)) * dayMs - 4 * hourMs
    this.#report(user, `user-${50 * (gang + 1)}`, evening + this.#below(2 * hourMs))
    for (let n = 0; n < 2; n += 1) this.#report(user, this.#someone())
  }

  #spam(user: string): void {
    const texts = [sentence(this.#random), sentence(this.#random)]
    for (let n = 0; n < 2 * this.#days; n += 1) {
      const [at, messages] = [this.#someTime(), 12 + this.#below(22)]
      for (let m = 0; m < messages; m += 1) {
        const text = disguised(this.#random, this.#pick(texts))
        this.#send(user, this.#someone(), text, at + this.#below(minuteMs))
      }
    }
  }

  #lead(user: string): void {
    const ring = Math.floor(this.#alike(user).indexOf(user) / ringSize)
    for (const { text, at } of this.#campaignsOf(ring)) {
      if (this.#random() < 0.25) continue
      const messages = 2 + this.#below(5)
      for (let m = 0; m < messages; m += 1) {
        const words = disguised(this.#random, text)
        this.#send(user, this.#someone(), words, at + this.#below(hourMs / 2))
      }
    }
  }

  #charm(user: string): void {
    for (let n = 0; n < 8 * this.#days; n += 1) {
      this.#send(user, this.#someone(), sentence(this.#random), this.#someTime())
    }
  }

  /** A text each twelve hours, sent within half an hour. */
  #campaignsOf(ring: number): { readonly at: number; readonly text: string }[] {
    const known = this.#campaigns.get(ring)
    if (known !== undefined) return known
    const made = Array.from({ length: 2 * this.#days }, (_, n) => ({
      at: begin + (12 * n + this.#below(12)) * hourMs,
      text: sentence(this.#random),
    }))
    this.#campaigns.set(ring, made)
    return made
  }

  #send(user: string, to: string, text: string, at: number): void {
    this.events.push({ stream: 'messages', user, at, value: { to, text } })
    const kind = this.kinds.get(user) ?? 'friend'
    if (this.#random() >= (reported[kind] ?? unjustly)) return
    const later = at + minuteMs + this.#below(hourMs)
    this.events.push({ stream: 'reports', user: to, at: later, value: { user } })
  }

  #report(user: string, other: string, at = this.#someTime()): void {
    this.events.push({ stream: 'reports', user, at, value: { user: other } })
  }

  /** All users of the same kind. */
  #alike(user: string): string[] {
    return this.#users.filter((each) => this.kinds.get(each) === this.kinds.get(user))
  }

  #someTime(): number {
    return begin + this.#below(this.#days * dayMs)
  }

  #someone(): string {
    return this.#pick(this.#users)
  }

  #pick<Item>(items: readonly Item[]): Item {
    const item = items[this.#below(items.length)]
    if (item === undefined) throw new Error('there is nothing to pick from')
    return item
  }

  #below(end: number): number {
    return Math.floor(end * this.#random())
  }
}
