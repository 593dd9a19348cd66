// Compares what is there with what was emitted: all of it follows from the input streams, and those from the account.
import type { Account, Emitted } from './account.js'
import {
  type Counted,
  type Delivery,
  type Event,
  type Limit,
  loopEvery,
  loopKey,
  type Setting,
  type Summed,
  sumKey,
  type Total,
} from './functions.js'

export interface Found<Value> {
  readonly partition: number
  readonly offset: number
  readonly key: string
  readonly value: Value
}

/** What a consumer of committed records finds, in the order of each partition. */
export interface Streams {
  readonly events: readonly Found<Event>[]
  readonly settings: readonly Found<Setting>[]
  readonly totals: readonly Found<Total>[]
}

export interface Tables {
  readonly count: ReadonlyMap<string, Counted>
  readonly sum: ReadonlyMap<string, Summed>
  readonly limits: ReadonlyMap<string, Limit>
}

/** An answer to a read that waited for an emit: at least so far was the table then. */
export interface Read {
  readonly table: 'count' | 'sum'
  /** Of the event. */
  readonly key: string
  readonly id: string
  readonly at: string
  /** How many events of the key it reflects; 0: there is no value. */
  readonly n: number
}

export interface Evidence {
  readonly delivery: Delivery
  readonly account: Account
  readonly streams: Streams
  /** The newest of each key in a table's own topic. */
  readonly changelogs: Tables
  /** What hosts answer. */
  readonly views: Tables
  readonly reads: readonly Read[]
}

const mostOfEach = 20

/** What is not as it has to be, in words. Empty: all is. */
export function differences(evidence: Evidence): string[] {
  const { account, streams, reads } = evidence
  const events = byKey(streams.events)
  const expected = expectedTables(streams, events)
  return [
    ...wronglyTaken(account, streams.events),
    ...wronglyOrdered(account, streams.events),
    ...wronglySet(account, streams.settings),
    ...wrongTotals(evidence, events),
    ...wrongTables('changelog of', evidence, evidence.changelogs, expected),
    ...wrongTables('table', evidence, evidence.views, expected),
    ...wronglyRead(reads, events),
  ]
}

/** By key the values of each, in order. */
function byKey<Value>(found: readonly Found<Value>[]): Map<string, Found<Value>[]> {
  const lists = new Map<string, Found<Value>[]>()
  for (const one of found) {
    const list = lists.get(one.key)
    if (list === undefined) lists.set(one.key, [one])
    else list.push(one)
  }
  return lists
}

function few(what: string, wrong: readonly string[]): string[] {
  const rest = wrong.length - mostOfEach
  const shown = wrong.slice(0, mostOfEach).map((one) => `${what}: ${one}`)
  return rest > 0 ? [...shown, `${what}: and ${rest} more`] : shown
}

const placed = ({ partition, offset }: Pick<Found<unknown>, 'partition' | 'offset'>): string =>
  `${partition}/${offset}`

/** Each event that was acknowledged is there once, where it was said to be; of the others only those whose outcome nobody knew; batches wholly or not at all. */
function wronglyTaken({ events }: Account, found: readonly Found<Event>[]): string[] {
  const places = new Map<string, Found<Event>[]>()
  for (const one of found) places.set(one.value.id, [...(places.get(one.value.id) ?? []), one])
  const wrong: string[] = []
  const batches = new Map<string, { there: number; missing: number }>()
  for (const { id, key, outcome, place, batch } of events.values()) {
    const there = places.get(id) ?? []
    const [first] = there
    const where = there.map(placed).join(', ')
    if (there.length > 1) wrong.push(`${id} of ${key} is there ${there.length} times, at ${where}`)
    if (outcome === 'acknowledged' && first === undefined)
      wrong.push(`${id} of ${key} was acknowledged, and is missing`)
    if (outcome === 'refused' && first !== undefined)
      wrong.push(`${id} of ${key} was refused, and is there at ${where}`)
    if (first !== undefined && first.key !== key)
      wrong.push(`${id} is under ${first.key}, and was emitted under ${key}`)
    if (first !== undefined && place !== undefined && placed(first) !== placed(place))
      wrong.push(`${id} was acknowledged at ${placed(place)}, and is at ${where}`)
    if (batch !== undefined) {
      const known = batches.get(batch) ?? { there: 0, missing: 0 }
      known[first === undefined ? 'missing' : 'there'] += 1
      batches.set(batch, known)
    }
  }
  for (const id of places.keys()) if (!events.has(id)) wrong.push(`${id} was never emitted`)
  for (const [batch, { there, missing }] of batches) {
    if (there > 0 && missing > 0)
      wrong.push(`of the batch ${batch} ${there} are there, and ${missing} are not`)
  }
  return few('events', wrong)
}

/** Who emits one after the other, and has each acknowledged before the next, finds them in that order. */
function wronglyOrdered({ events }: Account, found: readonly Found<Event>[]): string[] {
  const order = new Map([...events.keys()].map((id, at) => [id, at]))
  const last = new Map<string, Emitted>()
  const wrong: string[] = []
  for (const { key, value } of found) {
    const event = events.get(value.id)
    // One of which nobody knew may come late.
    if (event?.outcome !== 'acknowledged' || event.batch !== undefined) continue
    const lane = `${event.lane} ${key}`
    const before = last.get(lane)
    if (before !== undefined && (order.get(before.id) ?? 0) > (order.get(event.id) ?? 0))
      wrong.push(`${event.id} of ${key} comes behind ${before.id}, and was emitted before it`)
    last.set(lane, event)
  }
  return few('order of events', wrong)
}

function wronglySet(account: Account, found: readonly Found<Setting>[]): string[] {
  const versions = byKey(found)
  const wrong: string[] = []
  for (const [key, version] of account.acknowledgedSettings) {
    const isThere = versions.get(key)?.some(({ value }) => value.version === version)
    if (isThere !== true) wrong.push(`${version} of ${key} was acknowledged, and is missing`)
  }
  for (const { key, value } of found) {
    if (account.settings.get(key)?.includes(value.version) !== true)
      wrong.push(`${value.version} of ${key} was never set`)
  }
  return few('settings', wrong)
}

/** Exactly once: the events of each key as the input has them, numbered from 1. At least once: each of them, with its number. */
function wrongTotals(
  { delivery, streams }: Evidence,
  events: ReadonlyMap<string, readonly Found<Event>[]>,
): string[] {
  const totals = byKey(streams.totals)
  const versions = byKey(streams.settings)
  const wrong: string[] = []
  for (const [key, own] of events) {
    const found = totals.get(sumKey(key)) ?? []
    wrong.push(
      ...(delivery === 'exactly-once' ? exactly(own, found) : atLeast(own, found)).map(
        (what) => `${key}: ${what}`,
      ),
    )
    const known = new Set([0, ...(versions.get(key) ?? []).map(({ value }) => value.version)])
    let before = 0
    for (const { value } of found) {
      if (!known.has(value.limit))
        wrong.push(`${key}: ${value.n} has joined ${value.limit}, which is no version of the key`)
      if (delivery === 'exactly-once' && value.limit < before)
        wrong.push(`${key}: ${value.n} has joined ${value.limit}, after ${before}`)
      before = value.limit
    }
  }
  const keys = new Set([...events.keys()].map(sumKey))
  for (const key of totals.keys()) if (!keys.has(key)) wrong.push(`${key} has no events`)
  return few('outputs', wrong)
}

function exactly(events: readonly Found<Event>[], totals: readonly Found<Total>[]): string[] {
  const most = Math.max(events.length, totals.length)
  for (let i = 0; i < most; i += 1) {
    const [event, total] = [events[i], totals[i]]
    const isRight = total?.value.id === event?.value.id && total?.value.n === i + 1
    if (isRight && total?.value.partition === event?.partition) continue
    // From here on all is another.
    const is =
      total === undefined ? 'nothing' : `${total.value.id} as ${total.value.n} (${placed(total)})`
    const shall = event === undefined ? 'nothing' : `${event.value.id} as ${i + 1}`
    return [`is ${is}, shall be ${shall}; ${totals.length} outputs of ${events.length} events`]
  }
  return []
}

function atLeast(events: readonly Found<Event>[], totals: readonly Found<Total>[]): string[] {
  const numbers = new Map(events.map(({ value }, i) => [value.id, i + 1]))
  const wrong: string[] = []
  const seen = new Set<string>()
  for (const { value } of totals) {
    seen.add(value.id)
    const n = numbers.get(value.id)
    if (n !== value.n) wrong.push(`${value.id} is put out as ${value.n}, and is ${n ?? 'none'}`)
  }
  for (const [id, n] of numbers) if (!seen.has(id)) wrong.push(`${id}, number ${n}, is not put out`)
  return wrong
}

function expectedTables(
  { settings }: Streams,
  events: ReadonlyMap<string, readonly Found<Event>[]>,
): Tables {
  const count = new Map<string, Counted>()
  const nothing: Counted = { is: 'count', count: 0, limit: 0, backwards: 0, looped: 0, sum: 0 }
  const limits = new Map<string, Limit>()
  for (const { key, value } of settings) {
    const version = Math.max(value.version, limits.get(key)?.version ?? 0)
    limits.set(key, { is: 'limit', version })
  }
  for (const [key, { length }] of events) {
    count.set(key, { ...nothing, count: length, limit: limits.get(key)?.version ?? 0 })
    for (let n = loopEvery; n <= length; n += loopEvery) {
      const to = loopKey(key, n)
      const was = count.get(to) ?? nothing
      count.set(to, { ...was, looped: was.looped + 1, sum: was.sum + n })
    }
  }
  const sum = new Map(
    [...events].map(([key, { length }]): [string, Summed] => [
      sumKey(key),
      { is: 'sum', n: length, records: length, disorder: 0 },
    ]),
  )
  return { count, sum, limits }
}

function wrongTables(
  what: string,
  { delivery }: Evidence,
  found: Tables,
  expected: Tables,
): string[] {
  // What is put out again is counted again by whoever does not look.
  const ofSum = (value: Summed) => (delivery === 'exactly-once' ? value : { n: value.n })
  return [
    ...compare(`${what} count`, found.count, expected.count, (value) => value),
    ...compare(`${what} sum`, found.sum, expected.sum, ofSum),
    ...compare(`${what} limits`, found.limits, expected.limits, (value) => value),
  ]
}

function compare<Value>(
  what: string,
  found: ReadonlyMap<string, Value>,
  expected: ReadonlyMap<string, Value>,
  shown: (value: Value) => unknown,
): string[] {
  const text = (value: Value | undefined) =>
    value === undefined ? 'nothing' : JSON.stringify(sorted(shown(value)))
  const keys = new Set([...found.keys(), ...expected.keys()])
  const wrong = [...keys].flatMap((key) => {
    const [is, shall] = [text(found.get(key)), text(expected.get(key))]
    return is === shall ? [] : [`${key} is ${is}, shall be ${shall}`]
  })
  return few(what, wrong)
}

const sorted = (value: unknown): unknown =>
  Object.fromEntries(Object.entries(Object(value)).sort(([a], [b]) => (a < b ? -1 : 1)))

/** A read that waits for an emit reflects it: the table is at least as far as that event. */
function wronglyRead(
  reads: readonly Read[],
  events: ReadonlyMap<string, readonly Found<Event>[]>,
): string[] {
  const ranks = new Map<string, number>()
  for (const own of events.values()) {
    for (const [i, { value }] of own.entries()) ranks.set(value.id, i + 1)
  }
  const wrong = reads.flatMap(({ table, key, id, at, n }) => {
    const rank = ranks.get(id)
    if (rank !== undefined && n >= rank) return []
    return [`${table} ${key} after ${id} (number ${rank ?? 'none'}) is at ${n}, at ${at}`]
  })
  return few('reads', wrong)
}
