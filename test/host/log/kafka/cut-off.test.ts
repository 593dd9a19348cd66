// A broker that is cut off from the others, and reachable from here: it leads no more, does not know, and answers as before.

// A broker that is cut off from the others, and reachable from here: it leads no more, does not know, and answers as before.
import t, { type Test } from 'tap'
import { whereCut } from '#host/log/cut.js'
import { LeaderEpochs } from '#host/log/kafka/leader-epochs.js'
import type { KafkaSettings } from '#host/log/kafka/settings.js'
import { KafkaSource } from '#host/log/kafka/source.js'
import { KafkaTopics } from '#host/log/kafka/topics.js'
import type { Log } from '#host/log/log.js'
import { until } from '../../../support/until.js'
import { oneBatch, recordOf } from './batches.js'
import { Scripted, type ScriptOptions, told, topic } from './scripted.js'

const before = { leader: 1, leaderEpoch: 5 }
const now = { leader: 2, leaderEpoch: 6 }

t.test('what was read under a later leader is not lost, whoever is asked first', async (t) => {
  const brokers = new Scripted([before, now, now])
  const topics = new KafkaTopics(brokers, {} as KafkaSettings)
  const log: Pick<Log, 'describe' | 'endOfEpoch'> = {
    describe: (...of) => topics.describe(...of),
    endOfEpoch: (...of) => topics.endOfEpoch(...of),
  }
  const described = (await log.describe([topic])).get(topic)
  const [info] = described?.partitions ?? []
  if (described === undefined || info === undefined) throw new Error('it is not described')
  t.match(info, { leaderEpoch: 5, end: 50 }, 'the one that is cut off has told')
  const position = { topic, partition: 0, offset: 55, leaderEpoch: 6 }
  const { signal } = new AbortController()
  const found = await whereCut(log as Log, position, described, info, signal)
  t.match(found, { now: { leaderEpoch: 6, end: 60 }, cut: undefined })
})

const hourMs = 3_600_000

interface Reading extends ScriptOptions {
  readonly metadataIntervalMs?: number
}

/** All that was read is led by the first broker; `others` are the two that hear of what comes. */
function reading(t: Test, { metadataIntervalMs = hourMs, ...options }: Reading = {}) {
  const [first, ...others] = [{ ...before }, { ...before }, { ...before }]
  const brokers = new Scripted(
    [first, ...others].filter((one) => one !== undefined),
    options,
  )
  const source = new KafkaSource(brokers, () => {}, { maxBytes: 1 << 20, metadataIntervalMs })
  t.teardown(() => source.close())
  const elect = () => {
    for (const view of others) Object.assign(view, now)
  }
  const fetches = async (node: number, more = 1) => {
    const count = brokers.count('Fetch', node) + more
    await until(`broker ${node} is asked`, () => brokers.count('Fetch', node) >= count)
  }
  return { brokers, source, elect, fetches }
}

const at = (name: string) => ({ topic: name, partition: 0, offset: 50, leaderEpoch: 5 })

t.test('a reader goes over to who leads when any connection has heard of it', async (t) => {
  const epochs = new LeaderEpochs()
  const { source, elect, fetches } = reading(t, { epochs })
  const [seat] = await source.find([at(topic)])
  await fetches(1)
  elect()
  epochs.heard([told(now)])
  await fetches(2)
  t.match(seat, { leader: { node: 2 }, failures: 0, isTroubled: false })
})

t.test('one that is given nothing asks another broker who leads', async (t) => {
  const { brokers, source, elect, fetches } = reading(t, { metadataIntervalMs: 50 })
  await source.find([at(topic)])
  await fetches(1)
  elect()
  const asked = brokers.count('Metadata', 1)
  await fetches(2)
  t.ok(
    brokers.count('Metadata', 1) <= asked + 1,
    'the one that has told it so far is not asked alone',
  )
})

t.test('who leads is asked once for all that are quiet, and not for each fetch', async (t) => {
  const names = [topic, 'counts', 'clicks']
  const { brokers, source, fetches } = reading(t, { topics: names, metadataIntervalMs: hourMs })
  const seats = await source.find(names.map(at))
  await fetches(1, 20)
  t.equal(brokers.count('Metadata'), 1)
  const [first, second, third] = seats
  if (first === undefined || second === undefined || third === undefined) throw new Error('no seat')
  first.quietSince -= hourMs
  second.quietSince -= hourMs * 0.6
  await until('it is asked', () => brokers.count('Metadata') > 1)
  await fetches(1, 20)
  t.same(
    brokers.asked.filter((one) => one.startsWith('Metadata')),
    ['Metadata 1', 'Metadata 2'],
  )
  const { quietSince } = third
  t.ok(first.quietSince > quietSince && second.quietSince > quietSince, 'both have been looked up')
  t.ok(seats.every(({ leader }) => leader?.node === 1))
})

t.test('what is given something is not looked up', async (t) => {
  const { brokers, source } = reading(t)
  const [seat] = await source.find([at(topic)])
  if (seat === undefined) throw new Error('no seat')
  await until('it is read', () => seat.leader !== undefined)
  seat.quietSince -= hourMs / 2
  const { quietSince } = seat
  brokers.batches.push(oneBatch([recordOf(1, 'a', '1')], 50))
  await until('it is given it', () => seat.next === 51)
  t.ok(seat.quietSince > quietSince)
})

t.test('while there is no other leader it is read as before', async (t) => {
  const { brokers, source, fetches } = reading(t, { metadataIntervalMs: 20 })
  const [seat] = await source.find([at(topic)])
  for (const view of brokers.views.slice(1)) view.leader = -1
  await until('all were asked', () =>
    [1, 2, 3].every((node) => brokers.count('Metadata', node) > 1),
  )
  await fetches(1, 5)
  t.match(seat, { leader: { node: 1 }, failures: 0, isTroubled: false })
})

t.test(
  'where nobody who answers has heard of a later leader, it is read on, and asked in its time',
  async (t) => {
    const epochs = new LeaderEpochs()
    const { brokers, source, fetches } = reading(t, { epochs })
    const [seat] = await source.find([at(topic)])
    await fetches(1)
    epochs.heard([told(now)])
    await until('all were asked', () =>
      [1, 2, 3].every((node) => brokers.count('Metadata', node) > 0),
    )
    await fetches(1)
    const asked = brokers.count('Metadata')
    await fetches(1, 20)
    t.equal(brokers.count('Metadata'), asked)
    t.match(seat, { leader: { node: 1 }, failures: 0 })
  },
)

t.test('one whose leader is over before all are found is found again', async (t) => {
  const epochs = new LeaderEpochs()
  const names = ['clicks', topic, 'counts']
  const { brokers, source, elect, fetches } = reading(t, { epochs, topics: names })
  await source.find([at('clicks')])
  await fetches(1)
  let go = () => {}
  const held = {
    topic: 'counts',
    until: new Promise<void>((resolve) => (go = resolve)),
    isAsked: false,
  }
  brokers.held = held
  const [, seat] = await source.find(names.map(at))
  await until('the last is looked up', () => held.isAsked)
  t.equal(seat?.leader?.node, 1)
  elect()
  epochs.heard([told(now)])
  await fetches(1, 2)
  t.equal(seat?.leader, undefined)
  go()
  await fetches(2)
  t.equal(seat?.leader?.node, 2)
})
