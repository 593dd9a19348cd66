// The oracle of `npm run chaos`: it says nothing of a run that is as it has to be, and names each thing that is not.
import t from 'tap'
import { Account } from '#chaos/account.js'
import { type Counted, loopEvery, loopKey, type Summed, sumKey } from '#chaos/functions.js'
import { differences, type Evidence } from '#chaos/oracle.js'

const nothing: Counted = { is: 'count', count: 0, limit: 0, backwards: 0, looped: 0, sum: 0 }
const keys = ['k1', 'k2'] as const
const ofEach = 12

/** Of a run without a fault: two keys in two partitions, twelve events each. */
function evidence() {
  const account = new Account()
  const events = []
  const totals = []
  for (const [partition, key] of keys.entries()) {
    for (let n = 1; n <= ofEach; n += 1) {
      const id = `a-${key}-${n}`
      const offset = n * 2
      const batch = n > 10 ? { batch: `b-${key}` } : {}
      const emitted = account.emitting({ id, key, lane: 'a', ...batch })
      emitted.outcome = 'acknowledged'
      if (n <= 10) emitted.place = { partition, offset }
      events.push({ partition, offset, key, value: { is: 'event', id } as const })
      const limit: number = n < 6 ? 0 : 3
      const value = { is: 'total', id, n, limit, partition } as const
      totals.push({ partition: 1 - partition, offset, key: sumKey(key), value })
    }
    account.setting(key, 3)
    account.settingAcknowledged(key, 3)
  }
  const settings = keys.map((key, partition) => ({
    partition,
    offset: 0,
    key,
    value: { is: 'setting', version: 3 } as const,
  }))
  const tables = () => ({
    count: new Map<string, Counted>([
      ...keys.map((key): [string, Counted] => [key, { ...nothing, count: ofEach, limit: 3 }]),
      ...keys.map((key): [string, Counted] => [
        loopKey(key, loopEvery),
        { ...nothing, looped: 1, sum: loopEvery },
      ]),
    ]),
    sum: new Map<string, Summed>(
      keys.map((key) => [sumKey(key), { is: 'sum', n: ofEach, records: ofEach, disorder: 0 }]),
    ),
    limits: new Map(keys.map((key) => [key, { is: 'limit', version: 3 } as const])),
  })
  return {
    delivery: 'exactly-once' as Evidence['delivery'],
    account,
    streams: { events, settings, totals },
    changelogs: tables(),
    views: tables(),
    reads: [{ table: 'count', key: 'k1', id: 'a-k1-5', at: 'a', n: 5 }] as {
      table: 'count'
      key: string
      id: string
      at: string
      n: number
    }[],
  }
}

type Made = ReturnType<typeof evidence>

const total = (n: number, id = `a-k1-${n}`, limit = 3) => ({
  partition: 1,
  offset: 100 + n,
  key: sumKey('k1'),
  value: { is: 'total', id, n, limit, partition: 0 } as const,
})

t.test('a run that is as it has to be', async (t) => {
  t.same(differences(evidence()), [])
})

t.test(
  'an event of which nobody knew may be there or not, and all follows from whether it is',
  async (t) => {
    const made = evidence()
    const missing = made.account.emitting({ id: 'u', key: 'k1', lane: 'a' })
    t.equal(missing.outcome, 'unknown')
    t.same(differences(made), [])
    // Late, too: behind what the lane has emitted after it.
    made.account.emitting({ id: 'v', key: 'k1', lane: 'a' })
    made.streams.events.push({
      partition: 0,
      offset: 90,
      key: 'k1',
      value: { is: 'event', id: 'v' },
    })
    t.match(differences(made), [
      /^outputs: k1: is nothing, shall be v as 13/,
      /^changelog of count/,
    ])
    made.streams.totals.push(total(13, 'v'))
    for (const { count, sum } of [made.changelogs, made.views]) {
      count.set('k1', { ...nothing, count: 13, limit: 3 })
      sum.set(sumKey('k1'), { is: 'sum', n: 13, records: 13, disorder: 0 })
    }
    t.same(differences(made), [])
  },
)

const defects: readonly (readonly [string, (made: Made) => unknown, RegExp])[] = [
  [
    'an acknowledged event is missing',
    ({ streams }) => streams.events.splice(3, 1),
    /^events: a-k1-4 of k1 was acknowledged, and is missing/,
  ],
  [
    'an event is there twice',
    ({ streams }) => {
      const [first] = streams.events
      if (first !== undefined) streams.events.push({ ...first, offset: 99 })
    },
    /^events: a-k1-1 of k1 is there 2 times, at 0\/2, 0\/99/,
  ],
  [
    'a refused event is there',
    ({ account, streams }) => {
      account.emitting({ id: 'r', key: 'k1', lane: 'a' }).outcome = 'refused'
      streams.events.push({ partition: 0, offset: 90, key: 'k1', value: { is: 'event', id: 'r' } })
    },
    /^events: r of k1 was refused, and is there at 0\/90/,
  ],
  [
    'an event lies elsewhere than its token says',
    ({ account }) => {
      const event = account.events.get('a-k1-1')
      if (event !== undefined) event.place = { partition: 0, offset: 3 }
    },
    /^events: a-k1-1 was acknowledged at 0\/3, and is at 0\/2/,
  ],
  [
    'an event that nobody has emitted',
    ({ account }) => account.events.delete('a-k1-1'),
    /^events: a-k1-1 was never emitted/,
  ],
  [
    'a part of a batch',
    ({ account }) => {
      account.emitting({ id: 'half', key: 'k1', lane: 'a', batch: 'b-k1' })
    },
    /^events: of the batch b-k1 2 are there, and 1 are not/,
  ],
  [
    'two events of one lane in the wrong order',
    ({ streams }) => {
      const [one, two] = streams.events
      if (one !== undefined && two !== undefined) streams.events.splice(0, 2, two, one)
    },
    /^order of events: a-k1-1 of k1 comes behind a-k1-2/,
  ],
  [
    'an acknowledged setting is missing',
    ({ streams }) => streams.settings.splice(0, 1),
    /^settings: 3 of k1 was acknowledged, and is missing/,
  ],
  [
    'an output is missing',
    ({ streams }) => streams.totals.splice(4, 1),
    /^outputs: k1: is a-k1-6 as 6 \(1\/12\), shall be a-k1-5 as 5; 11 outputs of 12 events/,
  ],
  [
    'an output is there twice',
    ({ streams }) => streams.totals.splice(12, 0, total(12)),
    /^outputs: k1: is a-k1-12 as 12 .*, shall be nothing/,
  ],
  [
    'outputs in the wrong order',
    ({ streams }) => streams.totals.splice(2, 2, total(4), total(3)),
    /^outputs: k1: is a-k1-4 as 4/,
  ],
  [
    'an output has joined what was never set',
    ({ streams }) => streams.totals.splice(11, 1, total(12, 'a-k1-12', 2)),
    /^outputs: k1: 12 has joined 2, which is no version/,
  ],
  [
    'an output has joined what is older than before',
    ({ streams }) => streams.totals.splice(11, 1, total(12, 'a-k1-12', 0)),
    /^outputs: k1: 12 has joined 0, after 3/,
  ],
  [
    'a total that a host shows is another',
    ({ views }) => views.count.set('k2', { ...nothing, count: 11, limit: 3 }),
    /^table count: k2 is .*"count":11/,
  ],
  [
    'a total in the changelog is another',
    ({ changelogs }) => changelogs.count.set('k2', { ...nothing, count: 13, limit: 3 }),
    /^changelog of count: k2 is .*"count":13/,
  ],
  [
    'a join went back',
    ({ views }) => views.count.set('k2', { ...nothing, count: ofEach, limit: 3, backwards: 1 }),
    /^table count: k2 is .*"backwards":1/,
  ],
  [
    'a loop came twice',
    ({ views }) =>
      views.count.set(loopKey('k1', loopEvery), { ...nothing, looped: 2, sum: 2 * loopEvery }),
    /^table count: ten-2 is .*"looped":2/,
  ],
  [
    'a key that nobody has emitted',
    ({ changelogs }) => changelogs.count.set('k9', nothing),
    /^changelog of count: k9 is .*, shall be nothing/,
  ],
  [
    'a total of the second function is another',
    ({ views }) =>
      views.sum.set(sumKey('k1'), { is: 'sum', n: ofEach, records: ofEach + 1, disorder: 0 }),
    /^table sum: s-k1 is .*"records":13/,
  ],
  [
    'a joined table is another',
    ({ views }) => views.limits.delete('k1'),
    /^table limits: k1 is nothing/,
  ],
  [
    'a read that waited for an event is without it',
    ({ reads }) => reads.push({ table: 'count', key: 'k1', id: 'a-k1-5', at: 'b', n: 4 }),
    /^reads: count k1 after a-k1-5 \(number 5\) is at 4, at b/,
  ],
]

for (const [what, done, expected] of defects) {
  t.test(`names it: ${what}`, async (t) => {
    const made = evidence()
    done(made)
    const found = differences(made)
    t.ok(
      found.some((one) => expected.test(one)),
      what,
      { found },
    )
  })
}

t.test('at least once: outputs may come again, and none may be missing', async (t) => {
  const made = evidence()
  made.delivery = 'at-least-once'
  made.streams.totals.push(total(3))
  for (const { sum } of [made.changelogs, made.views])
    sum.set(sumKey('k1'), { is: 'sum', n: ofEach, records: ofEach + 1, disorder: 1 })
  t.same(differences(made), [])
  made.streams.totals.push(total(4, 'a-k1-3'))
  t.match(differences(made), [/^outputs: k1: a-k1-3 is put out as 4, and is 3/])
  made.streams.totals.pop()
  made.streams.totals.splice(5, 1)
  t.match(differences(made), [/^outputs: k1: a-k1-6, number 6, is not put out/])
})

t.test('of many differences of a kind the first are named, and the others counted', async (t) => {
  const made = evidence()
  made.streams.events.splice(0, 100)
  const missing = differences(made).filter((one) => one.startsWith('events: '))
  t.equal(missing.length, 21)
  t.equal(missing.at(-1), 'events: and 4 more')
})
