// All that the functions have to have made of the events, table by table and stream by stream.
import type { testHost } from 'millrace/testing'
import type { Test } from 'tap'
import type { Event } from '../../../../examples/systems/anti-spam/events.js'
import type blockList from '../../../../examples/systems/anti-spam/functions/block-list.js'
import type copies from '../../../../examples/systems/anti-spam/functions/copies.js'
import type delivery from '../../../../examples/systems/anti-spam/functions/delivery.js'
import type judge from '../../../../examples/systems/anti-spam/functions/judge.js'
import type rates from '../../../../examples/systems/anti-spam/functions/rates.js'
import type reporters from '../../../../examples/systems/anti-spam/functions/reporters.js'
import type rings from '../../../../examples/systems/anti-spam/functions/rings.js'
import { isSame } from '../../../support/entries.js'
import { grouped } from '../../../support/grouped.js'
import {
  type Expected,
  expectedOf,
  inOrder,
  keyOf,
  messagesOf,
  ratesOf,
  reportsOf,
  textsIn,
} from './expected.js'

type Functions = {
  rates: typeof rates
  copies: typeof copies
  rings: typeof rings
  reporters: typeof reporters
  judge: typeof judge
  blockList: typeof blockList
  delivery: typeof delivery
}
export type Host = Awaited<ReturnType<typeof testHost<Functions>>>

export async function checkAll(
  t: Test,
  host: Host,
  events: readonly Event[],
  expected = expectedOf(events),
): Promise<void> {
  await checkSenders(t, host, events)
  await checkReporters(t, host, events)
  await checkTexts(t, host, expected)
  await checkCases(t, host, expected)
  await checkLinks(t, host, expected)
  await checkDelivery(t, host, events, expected)
}

/** Of each sender the newest minute and hour, and the ones before. */
async function checkSenders(t: Test, host: Host, events: readonly Event[]): Promise<void> {
  const messages = messagesOf(events)
  const minutes = [...ratesOf(messages)].map(([user, own]) => {
    const newest = Math.max(...own.keys())
    const kept = [newest - 1, newest].flatMap((minute) => {
      const number = own.get(minute)
      return number === undefined ? [] : { minute, messages: number }
    })
    return [user, kept] as const
  })
  const found = (await host.table('rates').entries()).map(
    ([user, own]) => [user, [...own].sort((a, b) => a.minute - b.minute)] as const,
  )
  isSame(t, found, minutes, 'rates')

  const said = [...grouped(textsIn(messages), ({ user }) => user)].map(([user, own]) => {
    const newest = Math.max(...own.map(({ hour }) => hour))
    const kept = own.filter(({ hour }) => hour >= newest - 1)
    const texts = [...grouped(kept, ({ name }) => name)].map(
      ([name, all]) => [keyOf(name), [...new Set(all.map(({ to }) => to))].slice(0, 12)] as const,
    )
    return [user, new Map(texts)] as const
  })
  t.ok(
    said.every(([, texts]) => texts.size < 32),
    'nobody says so much that something is forgotten',
  )
  const copies = (await host.table('copies').entries()).map(([user, own]) => {
    return [user, new Map(own.map(({ text, hour, to }) => [`${text}/${hour}`, to]))] as const
  })
  isSame(t, copies, said, 'what senders have said')
}

async function checkReporters(t: Test, host: Host, events: readonly Event[]): Promise<void> {
  const last = new Map(
    reportsOf(events).flatMap(({ reporter, day, users }) => {
      const names = users.map(({ user }) => user)
      return names.length === 0 ? [] : [[reporter, { day, users: names }] as const]
    }),
  )
  isSame(t, await host.table('reporters').entries(), [...last], 'reporters')
}

async function checkTexts(t: Test, host: Host, expected: Expected): Promise<void> {
  const right = [...expected.texts].map(([ring, { members, receivers }]) => {
    const isBulk = expected.rings.has(ring)
    const told = { told: isBulk ? members.size : 0, hasHead: isBulk }
    const kept = isBulk ? { receivers: [], waiting: [] } : { receivers, waiting: members }
    return [ring, { ...told, receivers: sorted(kept.receivers), waiting: sorted(kept.waiting) }]
  }) as [string, unknown][]
  const found = (await host.table('rings').entries()).map(([ring, state]) => {
    const { told, head, receivers, waiting } = state
    const lists = { receivers: sorted(receivers), waiting: sorted(waiting) }
    return [ring, { told, hasHead: head !== undefined, ...lists }] as const
  })
  isSame(t, found, right, 'texts that several got')
  const { size } = host.stream('signals')
  t.equal(size, expected.signals, `${size} signals, each once`)
}

async function checkCases(t: Test, host: Host, expected: Expected): Promise<void> {
  const cases = await host.table('judge').entries()
  const evidence = cases.map(([user, { evidence, rings }]) => {
    const ofRings = rings.map(({ ring, at, isExposed }) => {
      return { id: `ring/${ring}`, at, points: isExposed ? 8 : 4 }
    })
    return [user, inOrder([...evidence, ...ofRings])] as const
  })
  isSame(t, evidence, [...expected.evidence], 'what speaks against users')
  const verdicts = cases.flatMap(([user, { verdict }]) => (verdict ? [[user, verdict]] : []))
  isSame(t, verdicts as [string, unknown][], [...expected.verdicts], 'verdicts')
  isSame(t, await host.table('blockList').entries(), [...expected.verdicts], 'the block list')
}

/** The members of each ring are linked, each with few, so that each can be reached from all others. */
async function checkLinks(t: Test, host: Host, expected: Expected): Promise<void> {
  const cases = await host.table('judge').entries()
  const links = new Map(
    cases.flatMap(([user, { rings }]) =>
      rings.map(({ ring, neighbours }) => [`${user} ${ring}`, neighbours] as const),
    ),
  )
  const neighboursOf = (user: string, ring: string) => links.get(`${user} ${ring}`) ?? []
  const wrong = [...expected.rings].filter(([ring, members]) => {
    const reached = new Set([...members].slice(0, 1))
    // What is added to a set is iterated over, too.
    for (const user of reached) for (const other of neighboursOf(user, ring)) reached.add(other)
    const isMutual = [...members].every((user) =>
      neighboursOf(user, ring).every((other) => neighboursOf(other, ring).includes(user)),
    )
    return sorted(reached).join() !== sorted(members).join() || !isMutual
  })
  t.strictSame(wrong, [], `${expected.rings.size} rings, each in one piece`)
  const most = Math.max(...[...links.values()].map(({ length }) => length))
  t.ok(most <= 18, `${most} neighbours at most`)
}

/** Each message goes one way, once; and nothing is withheld without a verdict of that user's. */
async function checkDelivery(
  t: Test,
  host: Host,
  events: readonly Event[],
  expected: Expected,
): Promise<void> {
  const messages = messagesOf(events)
  const right = countsOf(messages.map(({ user, value }) => `${user} ${value.to}`))
  const withheld = host.stream('withheld').records()
  const ways = [
    ...host
      .stream('deliveries')
      .records()
      .map(({ key, value }) => `${value?.from} ${key}`),
    ...withheld.map(({ key, value }) => `${key} ${value?.to}`),
  ]
  const order = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) =>
    Buffer.compare(Buffer.from(a), Buffer.from(b))
  isSame(t, countsOf(ways).sort(order), right, `${ways.length} messages, delivered or withheld`)
  const drawn = new Set(
    host
      .stream('verdicts')
      .records()
      .map(({ key, value }) => JSON.stringify([key, value])),
  )
  const unjust = withheld.filter(({ key, value, timestamp }) => {
    const isDrawn = drawn.has(JSON.stringify([key, value?.verdict]))
    const isInForce = value?.verdict.level !== 'warned' && timestamp < (value?.verdict.until ?? 0)
    return !isDrawn || !isInForce || (expected.verdicts.get(key)?.offences ?? 0) < 2
  })
  t.strictSame(unjust.slice(0, 5), [], `${withheld.length} withheld, all by a verdict`)
  const counted = countsOf(withheld.map(({ key }) => key))
  const held = new Map(counted)
  const totals = countsOf(messages.map(({ user }) => user)).map(([user, number]) => {
    const own = held.get(user) ?? 0
    return [user, { delivered: number - own, withheld: own }] as const
  })
  isSame(t, await host.table('delivery').entries(), totals, 'delivery')
}

const countsOf = (names: readonly string[]): [string, number][] =>
  [...grouped(names, (name) => name)].map(([name, all]) => [name, all.length])

const sorted = (names: Iterable<string>): string[] => [...names].sort()
