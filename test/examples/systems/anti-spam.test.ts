// Anti-spam against all events at once: evidence, verdicts and the block list exactly, whatever the order; and how many of those who are bad it finds.
import { readFile } from 'node:fs/promises'
import { testHost } from 'millrace/testing'
import t, { type Test } from 'tap'
import { type Event, kinds, makeEvents, shown } from '../../../examples/systems/anti-spam/events.js'
import blockList from '../../../examples/systems/anti-spam/functions/block-list.js'
import copies from '../../../examples/systems/anti-spam/functions/copies.js'
import delivery from '../../../examples/systems/anti-spam/functions/delivery.js'
import judge from '../../../examples/systems/anti-spam/functions/judge.js'
import rates from '../../../examples/systems/anti-spam/functions/rates.js'
import reporters from '../../../examples/systems/anti-spam/functions/reporters.js'
import rings from '../../../examples/systems/anti-spam/functions/rings.js'
import { dayMs, hourMs, verdictOf } from '../../../examples/systems/anti-spam/verdict.js'
import { randomFrom } from '../../../examples/systems/random.js'
import { averageBytes } from '../../support/entries.js'
import { checkReadme } from '../../support/example-readme.js'
import { throughTrouble } from '../../support/trouble.js'
import { expectedOf, lettersOf, mostOffences } from './anti-spam/expected.js'
import { checkQuality, stoppedBy } from './anti-spam/quality.js'
import { checkAll, type Host } from './anti-spam/tables.js'

const root = 'examples/systems/anti-spam'
const world = makeEvents(shown)
const expected = expectedOf(world.events)
const users = [...world.kinds.keys()]
const isBad = (user: string) => kinds[world.kinds.get(user) ?? 'friend'].isBad

const hostOf = (options: Parameters<typeof testHost>[1] = {}): Promise<Host> =>
  testHost(
    { rates, copies, rings, reporters, judge, blockList, delivery },
    { timeoutMs: 120_000, ...options },
  )

async function emit(host: Host, { stream, user, value, at }: Event): Promise<void> {
  if (stream === 'messages') await host.emit(stream, user, value, { timestamp: at })
  else await host.emit(stream, user, value, { timestamp: at })
}

async function emitAll(host: Host, some: readonly Event[]): Promise<void> {
  await Promise.all(some.map((each) => emit(host, each)))
}

/** So that what follows from earlier messages is known at later ones. */
async function emitInTime(host: Host, some: readonly Event[]): Promise<void> {
  for (let next = 0; next < some.length; next += 1_000) {
    await emitAll(host, some.slice(next, next + 1_000))
    await host.settled()
  }
}

/** Each of some users sends one message, when all that was before is settled; who does not get through? */
async function heldBack(
  t: Test,
  host: Host,
  at: number,
  some: readonly string[],
): Promise<string[]> {
  const { size } = host.stream('withheld')
  const delivered = host.stream('deliveries').size
  const value = { to: 'user-1', text: 'hello' }
  await emitAll(
    host,
    some.map((user) => ({ stream: 'messages', user, at, value })),
  )
  await host.settled()
  const held = host.stream('withheld').records().slice(size)
  const others = host.stream('deliveries').size - delivered
  t.equal(held.length + others, some.length, 'each message goes one way')
  return held.map(({ key }) => key).sort()
}

t.test('the events have what makes it hard', async (t) => {
  const { events } = world
  t.ok(events.length >= 20_000, `${events.length} events`)
  t.ok(
    events.some(({ at }, n) => at < (events[n - 1]?.at ?? 0)),
    'not in the order of time',
  )
  const { rings, exposed, verdicts } = expected
  const sizes = [...rings.values()].map(({ size }) => size)
  t.ok(Math.max(...sizes) > 100, `a text with ${Math.max(...sizes)} senders`)
  t.ok(exposed.size > 100, `${exposed.size} of ${rings.size} rings are exposed`)
  for (const level of ['warned', 'muted', 'blocked']) {
    const number = [...verdicts.values()].filter((each) => each.level === level).length
    t.ok(number >= 10, `${number} ${level}`)
  }
})

t.test('it finds who is bad, and withholds what they send', async (t) => {
  await using host = await hostOf()
  const { events } = world
  await emitInTime(host, events)
  await checkAll(t, host, events, expected)

  const readme = await readFile(`${root}/README.md`, 'utf8')
  const says = (text: string) => t.ok(readme.includes(text), `the README says: ${text}`)
  checkQuality(t, world, expected, says)
  const good = users.filter((user) => !isBad(user))
  const warned = good.filter((user) => expected.verdicts.get(user)?.level === 'warned')
  says(`${events.length.toLocaleString('en')} events of ${users.length.toLocaleString('en')} users`)
  says(`${warned.length} of ${good.length.toLocaleString('en')} others were warned`)

  const isAbout = (value: number, before: string, within: number) => {
    const stated = Number.parseFloat(readme.split(before).at(-1)?.replace(',', '') ?? '')
    t.ok(Math.abs(value - stated) <= within, `the README says: ${before}${stated}, it is ${value}`)
  }
  // Of messages that come at the same time as the verdict.
  const sentBy = (some: readonly { readonly key: string }[]) =>
    some.filter(({ key }) => isBad(key)).length
  const held = host.stream('withheld').records()
  const bad = events.filter(({ stream, user }) => stream === 'messages' && isBad(user)).length
  isAbout((100 * sentBy(held)) / bad, 'Of what the bad users sent ', 2)
  for (const table of [
    'rates',
    'copies',
    'rings',
    'reporters',
    'judge',
    'blockList',
    'delivery',
  ] as const) {
    const bytes = averageBytes(await host.table(table).entries())
    const name = table === 'blockList' ? 'block-list' : table
    isAbout(bytes, `| \`${name}\` | `, 0.03 * bytes)
  }

  // Settled: from here on it is exact who gets through, and when it is over.
  const end = Math.max(...events.map(({ at }) => at)) + hourMs
  const stopped = stoppedBy(expected)
  const stillAt = (at: number) =>
    stopped.filter((user) => at < (expected.verdicts.get(user)?.until ?? 0)).sort()
  const judged = [...expected.verdicts.keys()]
  const some = [...new Set([...judged, ...users.slice(0, 200)])]
  for (const at of [end, end + dayMs, end + 27 * dayMs, end + 31 * dayMs]) {
    const right = stillAt(at)
    t.strictSame(await heldBack(t, host, at, some), right, `${right.length} are held back`)
  }

  await checkForgetting(t, host, judged, end + 31 * dayMs)
})

/** What is long ago is forgotten when something new is heard of a user, or by a visit. */
async function checkForgetting(
  t: Test,
  host: Host,
  judged: readonly string[],
  at: number,
): Promise<void> {
  const heardOf = judged.slice(0, 20)
  const reports = heardOf.map((user, n): Event => {
    return { stream: 'reports', user: `witness-${n}`, at, value: { user } }
  })
  await emitAll(host, reports)
  await host.settled()
  const left = await host.table('blockList').keys()
  t.strictSame(left, judged.filter((user) => !heardOf.includes(user)).sort(), 'twenty are off it')
  await host.visit('judge', 'forget', { now: at })
  await host.settled()
  t.strictSame(await host.table('blockList').keys(), [], 'and all others')
  const cases = await host.table('judge').entries()
  t.strictSame(
    cases.map(([user, { evidence, rings }]) => [user, evidence.length, rings.length]),
    heardOf.map((user) => [user, 1, 0]).sort(),
    'but for what is new nothing is kept',
  )
}

t.test('so it does through crashes, lost tables and other owners', async (t) => {
  await using host = await hostOf({ seed: 3, faults: true })
  const { events } = makeEvents({ seed: 1, users: 180, days: 3 })
  await throughTrouble(host, events, (part) => emitAll(host, part))
  await host.settled()
  const expected = expectedOf(events)
  const stopped = stoppedBy(expected)
  t.ok(expected.exposed.size > 10 && stopped.length > 5, `${stopped.length} are stopped`)
  await checkAll(t, host, events, expected)
})

t.test('a ring is told from member to member, however many they are', async (t) => {
  await using host = await hostOf({ seed: 1 })
  const at = Date.UTC(2025, 0, 1)
  const members = Array.from({ length: 400 }, (_, n) => `member-${n}`)
  const spread = members.flatMap((user) =>
    ['a', 'b', 'c'].map((to): Event => {
      return { stream: 'messages', user, at, value: { to, text: 'Send this to all your friends' } }
    }),
  )
  const against = Array.from({ length: 12 }, (_, n): Event => {
    return { stream: 'reports', user: `witness-${n}`, at, value: { user: 'member-7' } }
  })
  await emitAll(host, [...spread, ...against])
  await host.settled()
  await checkAll(t, host, [...spread, ...against])
  const cases = await host.table('judge').entries()
  t.equal(cases.filter(([, { rings }]) => rings[0]?.isExposed).length, members.length)

  const { visited } = await host.visit('rings', 'forget', { before: at })
  t.equal(visited, 1)
  t.equal((await host.table('rings').keys()).length, 1, 'this hour is kept')
  await host.visit('rings', 'forget', { before: at + hourMs })
  t.equal((await host.table('rings').keys()).length, 0)
})

t.test('offences follow from the evidence, in whichever order it comes', async (t) => {
  const at = Date.UTC(2025, 0, 1)
  const points = (...some: (readonly [hours: number, points: number])[]) =>
    some.map(([hours, number], n) => ({ id: `${n}`, at: at + hours * hourMs, points: number }))
  t.equal(verdictOf(points([0, 6], [1, 5])), undefined)
  t.match(verdictOf(points([0, 6], [23, 6])), { level: 'warned', since: at + 23 * hourMs })
  t.equal(verdictOf(points([0, 6], [24, 6])), undefined, 'not within a day')
  t.match(verdictOf(points([0, 12], [1, 12])), { level: 'muted', until: at + 25 * hourMs })
  t.match(verdictOf(points([0, 12], [1, 12], [2, 11], [3, 1])), {
    level: 'blocked',
    offences: 3,
    until: at + 3 * hourMs + 30 * dayMs,
  })
  const random = randomFrom(6)
  const wrong: object[] = []
  for (let round = 0; round < 2_000; round += 1) {
    const evidence = points(
      ...Array.from({ length: 1 + Math.floor(20 * random()) }, () => {
        return [Math.floor(100 * random()), [1, 3, 4, 6, 8][Math.floor(5 * random())] ?? 1] as const
      }),
    )
    const { offences, since } = verdictOf(evidence) ?? { offences: 0, since: 0 }
    const right = mostOffences(evidence)
    const fewer = verdictOf(evidence.slice(1))?.offences ?? 0
    if (offences !== right.offences || since !== right.since || fewer > offences) {
      wrong.push({ evidence, offences, since, right, fewer })
    }
  }
  t.strictSame(wrong.slice(0, 1), [], `${wrong.length} of 2,000 wrong, or fewer offences by more`)
})

t.test('nobody weighs too much, and nothing grows without end', async (t) => {
  await using host = await hostOf()
  const at = Date.UTC(2025, 0, 1)
  const report = (user: string, about: string, later = 0): Event => {
    return { stream: 'reports', user, at: at + later, value: { user: about } }
  }
  const message = (user: string, to: string, text: string, later = 0): Event => {
    return { stream: 'messages', user, at: at + later, value: { to, text } }
  }
  const many = Array.from({ length: 20 }, (_, n) => report('zealot', `user-${n}`))
  await emitAll(host, [...many, ...many, report('ann', 'ann')])
  await emitAll(host, [report('zealot', 'user-0', dayMs), report('zealot', 'user-0', 0)])
  const texts = Array.from({ length: 50 }, (_, n) => {
    return message(
      'ann',
      'bob',
      `this is something else ${lettersOf('abcdefghij'.slice(n % 10))}`,
      n,
    )
  })
  const different = Array.from({ length: 50 }, (_, n) => {
    return message('eve', 'bob', `what eve says now ${'x'.repeat(n)}`, 2 * hourMs)
  })
  await emitAll(host, [...texts, ...different, message('eve', 'bob', 'it is late for this one')])
  await host.settled()
  const weights = Array.from({ length: 20 }, (_, n) =>
    host
      .table('judge')
      .get(`user-${n}`)
      ?.evidence.map((each) => each.points),
  )
  t.strictSame(weights.slice(0, 4), [[3], [3], [3], [1]])
  t.strictSame(weights.slice(9, 12), [[1], undefined, undefined], 'who reports many counts no more')
  t.strictSame(host.table('reporters').get('zealot')?.users, ['user-0'])
  t.equal(host.table('reporters').get('ann'), undefined, 'nobody reports himself')
  t.equal(host.table('copies').get('ann')?.length, 10)
  t.equal(host.table('copies').get('eve')?.length, 32)
  t.ok(
    host
      .table('copies')
      .get('eve')
      ?.every(({ hour }) => hour * hourMs === at + 2 * hourMs),
  )
  t.strictSame(
    host
      .table('rates')
      .get('eve')
      ?.map(({ messages }) => messages),
    [50],
  )
})

t.test('what is no message is refused where it is sent', async (t) => {
  await using host = await hostOf()
  await t.rejects(host.emit('messages', 'alice', { to: '', text: 'hello' }), { code: 'BAD_VALUE' })
  await t.rejects(host.emit('reports', 'alice', { user: '' }), { code: 'BAD_VALUE' })
})

t.test('the README draws and does what is true', (t) => checkReadme(t, root))
