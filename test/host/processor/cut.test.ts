// Inputs and tables whose log was cut below what was read, by a leader that had less of it, and has been written anew beyond it; and
// those of which a former leader tells that they end where they ended.

import { json } from 'millrace'
import t, { type Test } from 'tap'
import type { TopicInfo } from '#host/log/log.js'
import { partitionOf } from '#host/log/partitioner.js'
import type { RunnableDefinition } from '#host/processor/program.js'
import { createMemoryStore } from '#host/tables/memory.js'
import { until } from '../../support/until.js'
import { Harness, options, partitions } from './harness.js'

const partition = partitionOf(Buffer.from('a'), partitions, 'murmur2')

const sum: RunnableDefinition = {
  inputs: { numbers: json<number>() },
  outputs: { sums: json() },
  table: json<number>(),
  on: {
    numbers(ctx, by) {
      ctx.set(Number(ctx.get() ?? 0) + Number(by))
    },
  },
}

async function harness(t: Test, onDataLoss: 'halt' | 'continue' = 'halt'): Promise<Harness> {
  const made = new Harness({ definition: sum, options: { ...options, onDataLoss } })
  t.teardown(() => made.end())
  await made.prepare()
  await made.start()
  return made
}

async function emit(h: Harness, ...numbers: readonly number[]): Promise<void> {
  for (const by of numbers) await h.emit('numbers', 'a', by)
}

/** The second record and all behind it are lost. */
const cut = (h: Harness, topic: string): void =>
  h.log.truncate(topic, partition, h.log.records(topic, partition)[1]?.offset ?? -1)

const lost = { error: { code: 'INPUT_LOST', message: /numbers, partition \d was cut off at \d/ } }

t.test('an input that was cut and has grown beyond the position halts, each time', async (t) => {
  const h = await harness(t)
  await emit(h, 1, 10)
  await h.settled()
  await h.drain()
  cut(h, 'numbers')
  await emit(h, 100, 1_000, 10_000)
  for (let start = 1; start <= 2; start += 1) {
    await h.start()
    await until('it halts', () => h.halts.length === start)
    t.match(h.halts.at(-1), lost)
    t.equal(h.value('a'), 11)
    await h.drain()
  }
})

t.test(
  'it goes on where it was cut when the function says so, and has all that is new',
  async (t) => {
    const h = await harness(t, 'continue')
    await emit(h, 1, 10)
    await h.settled()
    await h.drain()
    cut(h, 'numbers')
    await emit(h, 100, 1_000, 10_000)
    await h.start()
    await h.settled()
    t.equal(h.value('a'), 11_111)
    t.match(h.warnings.join(), /records are gone: .*cut off at/)
    await h.drain()
    await h.start()
    await h.settled()
    t.equal(h.value('a'), 11_111, 'nothing is counted again')
    t.equal(h.warnings.length, 1)
  },
)

t.test('under a running function: it halts, and does not go on when it is resumed', async (t) => {
  const h = await harness(t)
  await emit(h, 1, 10)
  await h.settled()
  cut(h, 'numbers')
  await emit(h, 100, 1_000, 10_000)
  await until('it halts', () => h.halts.length > 0)
  t.match(h.halts[0], { error: { code: 'INPUT_LOST' } })
  h.group.resume()
  await until('it halts again', () => h.halts.length > 1)
  t.match(h.halts[1], lost)
  t.equal(h.value('a'), 11)
})

t.test('under a running function that may go on: it has all that is new', async (t) => {
  const h = await harness(t, 'continue')
  await emit(h, 1, 10)
  await h.settled()
  cut(h, 'numbers')
  await emit(h, 100, 1_000, 10_000)
  await h.settled()
  t.equal(h.value('a'), 11_111)
  t.same(h.halts, [])
})

t.test('leaders that change without a loss are of no matter', async (t) => {
  const h = await harness(t)
  for (let term = 0; term < 3; term += 1) {
    await emit(h, 1)
    await h.settled()
    for (const topic of ['numbers', 'sum-table']) {
      h.log.elect(topic, partition)
      h.log.elect(topic, partition)
    }
    if (term > 0) continue
    await h.drain()
    await h.start()
  }
  await emit(h, 1)
  await h.settled()
  await h.drain()
  for (const topic of ['numbers', 'sum-table']) h.log.elect(topic, partition)
  await h.start()
  await h.settled()
  t.equal(h.value('a'), 4)
  t.same(h.halts, [])
  t.same(h.warnings, [], 'and no table is rebuilt')
})

t.test('a changelog that was cut under a running function: its table is as the log', async (t) => {
  const h = await harness(t)
  await h.emit('numbers', 'a', 1)
  await h.settled()
  await h.emit('numbers', 'a', 10)
  await h.settled()
  const other = Array.from({ length: 99 }, (_, i) => `b${i}`).find(
    (key) => partitionOf(Buffer.from(key), partitions, 'murmur2') === partition,
  )
  cut(h, 'sum-table')
  await h.emit('numbers', other ?? '', 5)
  await h.settled()
  t.equal(h.value('a'), 1, 'the last that is left')
  t.equal(h.value(other ?? ''), 5)
  t.match(h.warnings.join(), /rebuilt from the log: sum-table was cut off below what is stored/)
  t.same(h.halts, [])
})

t.test(
  'a changelog that was cut and has grown beyond it again under a running function',
  async (t) => {
    const h = await harness(t)
    await h.emit('numbers', 'a', 1)
    await h.settled()
    await h.emit('numbers', 'a', 10)
    await h.settled()
    cut(h, 'sum-table')
    // As what was given up, and its markers, take offsets.
    for (let n = 0; n < 5; n += 1) {
      const key = Buffer.from('elsewhere')
      await h.log.append([{ topic: 'sum-table', partition, key, value: null, timestamp: 1 }])
    }
    await h.emit('numbers', 'a', 100)
    await until('it is rebuilt', () => h.warnings.join().includes('rebuilt from the log'))
    await h.settled()
    t.equal(h.value('a'), h.changelog().get('a'), 'the table is as the log has it')
    t.same(h.halts, [])
  },
)

const told = async (h: Harness, topic: string): Promise<TopicInfo> => {
  const info = (await h.log.describe([topic])).get(topic)
  if (info === undefined) throw new Error(`no ${topic}`)
  return info
}

/** So many descriptions are as this one; each opening asks for one: by who led then, and does not know that another leads. */
function tellsAsThen(h: Harness, then: TopicInfo, times: number): void {
  const describe = h.log.describe.bind(h.log)
  let left = times
  h.log.describe = async (names) => {
    const found = new Map(await describe(names))
    if (!found.has(then.name) || left === 0) return found
    left -= 1
    return found.set(then.name, then)
  }
}

const elect = (h: Harness): void => {
  for (const topic of ['numbers', 'sum-table']) h.log.elect(topic, partition)
}

/** One record counts before another leads, and one after; the topic as it was told in between. */
async function ledByAnother(h: Harness, topic: string): Promise<TopicInfo> {
  await emit(h, 1)
  await h.settled()
  const then = await told(h, topic)
  elect(h)
  await emit(h, 10)
  await h.settled()
  await h.drain()
  return then
}

t.test('a leader of before tells of an input: nothing is lost, and all of it counts', async (t) => {
  const h = await harness(t)
  const then = await ledByAnother(h, 'numbers')
  tellsAsThen(h, then, partitions + 2)
  await h.start()
  await emit(h, 100)
  await h.settled()
  t.equal(h.value('a'), 111)
  t.same(h.halts, [])
  t.same(h.warnings, [])
})

t.test('a leader of before tells of a changelog: its table is not rebuilt', async (t) => {
  const h = await harness(t)
  const then = await ledByAnother(h, 'sum-table')
  tellsAsThen(h, then, partitions + 2)
  await h.start()
  await emit(h, 100)
  await h.settled()
  t.equal(h.value('a'), 111)
  t.same(h.warnings, [])
})

t.test('and there is nothing local: all is replayed that was committed since', async (t) => {
  const h = await harness(t)
  const then = await ledByAnother(h, 'sum-table')
  h.store = createMemoryStore()
  tellsAsThen(h, then, partitions)
  await h.start()
  await emit(h, 100)
  await h.settled()
  t.equal(h.value('a'), 111)
  t.same(h.warnings, [])
})

t.test('and what is local is as old: nothing that is made of it is committed', async (t) => {
  const h = await harness(t)
  await emit(h, 1)
  await h.settled()
  await h.drain()
  const then = await told(h, 'sum-table')
  const before = h.store
  // As another host goes on.
  h.store = createMemoryStore()
  await h.start()
  elect(h)
  await emit(h, 10)
  await h.settled()
  await h.drain()
  h.store = before
  tellsAsThen(h, then, partitions)
  await h.start()
  await emit(h, 100)
  await h.settled()
  const sums = h.records('sum-table').map(({ value }) => Number(value))
  t.same(sums, [1, 11, 111])
  t.equal(h.value('a'), 111)
  t.match(h.warnings, [/read anew from the log/])
  await emit(h, 1_000)
  await h.settled()
  t.equal(h.value('a'), 1_111)
  t.equal(h.warnings.length, 1)
  t.same(h.halts, [])
})

t.test('nothing is asked of where an epoch ended while it has not', async (t) => {
  const h = await harness(t)
  await emit(h, 1, 10)
  await h.settled()
  await h.drain()
  const endOfEpoch = h.log.endOfEpoch.bind(h.log)
  let asked = 0
  h.log.endOfEpoch = async (...of) => {
    asked += 1
    return await endOfEpoch(...of)
  }
  await h.start()
  await emit(h, 100)
  await h.settled()
  t.equal(h.value('a'), 111)
  t.equal(asked, 0)
  await h.drain()
  cut(h, 'numbers')
  await h.start()
  await until('it halts', () => h.halts.length > 0)
  t.ok(asked > 0, 'another has led since')
})
