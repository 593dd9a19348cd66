// What has to come out, computed from all events at once, by other ways than those of the functions.
import { createHash } from 'node:crypto'
import type { Event } from '../../../../examples/systems/anti-spam/events.js'
import type { Evidence, Verdict } from '../../../../examples/systems/anti-spam/verdict.js'
import { grouped } from '../../../support/grouped.js'

const [minuteMs, hourMs, dayMs] = [60_000, 3_600_000, 86_400_000]

interface Text {
  readonly members: ReadonlySet<string>
  readonly receivers: ReadonlySet<string>
}

export interface Expected {
  /** Texts that somebody has sent to two or more: who has, and to whom. */
  readonly texts: ReadonlyMap<string, Text>
  /** Those of them that are bulk, and who sent them. */
  readonly rings: ReadonlyMap<string, ReadonlySet<string>>
  /** So many have to be sent. */
  readonly signals: number
  readonly exposed: ReadonlySet<string>
  readonly evidence: ReadonlyMap<string, readonly Evidence[]>
  readonly verdicts: ReadonlyMap<string, Verdict>
}

/** What is looked at; left out is what a simpler system would not have. */
export interface Looks {
  readonly rates?: boolean
  readonly rings?: boolean
  readonly reports?: boolean
}

const everything: Looks = { rates: true, rings: true, reports: true }

export function expectedOf(events: readonly Event[], looks: Looks = everything): Expected {
  const texts = textsOf(events)
  const rings = new Map(
    [...texts].flatMap(([ring, { members, receivers }]) => {
      const isBulk = members.size >= 4 || receivers.size >= 12
      return looks.rings && isBulk ? [[ring, members] as const] : []
    }),
  )
  const fixed: [string, Evidence][] = [
    ...(looks.rates ? rateEvidence(messagesOf(events)) : []),
    ...(looks.reports ? reportEvidence(events) : []),
  ]
  // A blocked member exposes a ring, which may lead to others who are blocked: until nothing is new.
  for (let exposed = new Set<string>(); ; ) {
    const evidence = evidenceOf([...fixed, ...ringEvidence(rings, exposed)])
    const verdicts = new Map(
      [...evidence].flatMap(([user, own]) => {
        const verdict = verdictOf(own)
        return verdict === undefined ? [] : [[user, verdict] as const]
      }),
    )
    const isBlocked = (user: string) => verdicts.get(user)?.level === 'blocked'
    const found = [...rings].filter(([, members]) => [...members].some(isBlocked))
    if (found.length === exposed.size) {
      const signals = fixed.length + ringEvidence(rings, exposed).length
      return { texts, rings, signals, exposed, evidence, verdicts }
    }
    exposed = new Set(found.map(([ring]) => ring))
  }
}

type Message = Extract<Event, { stream: 'messages' }>

export const messagesOf = (events: readonly Event[]): Message[] =>
  events.filter((event) => event.stream === 'messages')

/** Of each sender, by minute. */
export function ratesOf(messages: readonly Message[]): Map<string, Map<number, number>> {
  const senders = grouped(messages, ({ user }) => user)
  return new Map(
    [...senders].map(([user, own]) => {
      const minutes = grouped(own, ({ at }) => String(Math.floor(at / minuteMs)))
      return [user, new Map([...minutes].map(([minute, { length }]) => [Number(minute), length]))]
    }),
  )
}

function rateEvidence(messages: readonly Message[]): [string, Evidence][] {
  return [...ratesOf(messages)].flatMap(([user, minutes]) =>
    [...minutes].flatMap(([minute, number]): [string, Evidence][] => {
      if (number < 20) return []
      return [[user, { id: `rate/${minute}`, at: minute * minuteMs, points: 6 }]]
    }),
  )
}

const accented = new Map([...'áéïöü'].map((letter, n) => [letter, 'aeiou'.charAt(n)]))

/** Letter by letter: as much as the made-up texts need. */
export function lettersOf(text: string): string {
  let letters = ''
  for (const letter of text) {
    const code = letter.codePointAt(0) ?? 0
    const plain = code > 0xff00 ? String.fromCodePoint(code - 0xfee0) : letter
    const small = (accented.get(plain) ?? plain).toLowerCase()
    if (small >= 'a' && small <= 'z') letters += small
  }
  return letters
}

/** Long enough to tell something. */
export const textsIn = (messages: readonly Message[]) =>
  messages.flatMap(({ user, at, value: { to, text } }) => {
    const letters = lettersOf(text)
    if (letters.length < 16) return []
    return [
      { user, to, hour: Math.floor(at / hourMs), name: `${letters}/${Math.floor(at / hourMs)}` },
    ]
  })

/** Of the name: as the functions have it. */
export function keyOf(name: string): string {
  const [letters = '', hour] = name.split('/')
  return `${createHash('sha256').update(letters).digest('base64url').slice(0, 12)}/${hour}`
}

/** Each text of an hour, with the senders who have sent it to two or more. */
function textsOf(events: readonly Event[]): Map<string, Text> {
  const texts = new Map<string, Text>()
  for (const [name, all] of grouped(textsIn(messagesOf(events)), (each) => each.name)) {
    const senders = [...grouped(all, ({ user }) => user)].map(
      ([user, own]) => [user, new Set(own.map(({ to }) => to))] as const,
    )
    const several = senders.filter(([, to]) => to.size >= 2)
    if (several.length === 0) continue
    const receivers = new Set(several.flatMap(([, to]) => [...to]))
    texts.set(keyOf(name), { members: new Set(several.map(([user]) => user)), receivers })
  }
  return texts
}

function ringEvidence(
  rings: ReadonlyMap<string, ReadonlySet<string>>,
  exposed: ReadonlySet<string>,
): [string, Evidence][] {
  return [...rings].flatMap(([ring, members]) => {
    const at = Number(ring.split('/')[1]) * hourMs
    const points = exposed.has(ring) ? 8 : 4
    return [...members].map((user): [string, Evidence] => [
      user,
      { id: `ring/${ring}`, at, points },
    ])
  })
}

interface Reported {
  readonly reporter: string
  readonly day: number
  /** Ten at most, each once. */
  readonly users: readonly { readonly user: string; readonly at: number }[]
}

/** What each reporter says that counts, day by day; the day of a report is that of the latest one so far of who makes it. */
export function reportsOf(events: readonly Event[]): Reported[] {
  const reports = events.filter((event) => event.stream === 'reports')
  return [...grouped(reports, ({ user }) => user)].flatMap(([reporter, own]) => {
    const times = own.map(({ at }) => at)
    const days = grouped(
      own.map(({ at, value }, n) => ({ at, user: value.user, latest: times.slice(0, n + 1) })),
      ({ latest }) => String(Math.floor(Math.max(...latest) / dayMs)),
    )
    return [...days].map(([day, all]) => {
      const users = [...grouped(all, ({ user }) => user).values()].flatMap(([first]) => first ?? [])
      const others = users.filter(({ user }) => user !== reporter)
      return { reporter, day: Number(day), users: others.slice(0, 10) }
    })
  })
}

function reportEvidence(events: readonly Event[]): [string, Evidence][] {
  return reportsOf(events).flatMap(({ reporter, users }) =>
    users.map(({ user, at }, n): [string, Evidence] => {
      return [user, { id: `report/${reporter}`, at, points: n < 3 ? 3 : 1 }]
    }),
  )
}

/** Each counts once, the first time; in the order of time. */
function evidenceOf(all: readonly [string, Evidence][]): Map<string, Evidence[]> {
  const users = grouped(all, ([user]) => user)
  return new Map(
    [...users].map(([user, own]) => {
      const byId = grouped(own, ([, { id }]) => id)
      const first = [...byId.values()].flatMap(([each]) => (each ? [each[1]] : []))
      return [user, inOrder(first)]
    }),
  )
}

export const inOrder = (evidence: readonly Evidence[]): Evidence[] =>
  [...evidence].sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1))

/** As many offences as the evidence can be made into, each of twelve points within a day, by dynamic programming over its end. */
export function mostOffences(all: readonly Evidence[]): { offences: number; since: number } {
  const evidence = inOrder(all)
  const most = [0]
  let [offences, since] = [0, 0]
  for (const [end, { at }] of evidence.entries()) {
    let best = most[end] ?? 0
    let points = 0
    for (let begin = end; begin >= 0; begin -= 1) {
      const each = evidence[begin]
      if (each === undefined || each.at <= at - dayMs) break
      points += each.points
      if (points >= 12) best = Math.max(best, 1 + (most[begin] ?? 0))
    }
    most.push(best)
    if (best > offences) since = at
    offences = best
  }
  return { offences, since }
}

function verdictOf(evidence: readonly Evidence[]): Verdict | undefined {
  const { offences, since } = mostOffences(evidence)
  const lasts = { warned: 30, muted: 1, blocked: 30 }
  const level = (['warned', 'muted'] as const)[offences - 1] ?? 'blocked'
  if (offences === 0) return undefined
  return { level, offences, since, until: since + lasts[level] * dayMs }
}
