// Copies of others' tables: there before the first record, followed, and never read while they are not what their topic says.

import { int64, string } from 'millrace'
import t from 'tap'
import { HostError } from '#host/errors.js'
import { partitionOf } from '#host/log/partitioner.js'
import type { RunnableDefinition } from '#host/processor/program.js'
import { createMemoryStore } from '#host/tables/memory.js'
import { hold } from '../../support/hold.js'
import { until } from '../../support/until.js'
import { changed } from './changed-store.js'
import { edges, fastClock, Harness, partitions } from './harness.js'

const lookupPartitions = 5
const joined = { table: 'names', topic: 'names-table', hasher: 'murmur2' } as const
const looked = { table: 'rates', topic: 'rates', hasher: 'fnv1a' } as const

/** Says for each number what it has read. */
const definition: RunnableDefinition = {
  inputs: { numbers: string },
  outputs: { sums: string },
  table: string,
  joins: { names: string },
  lookups: { rates: { topic: 'rates', codec: int64 } },
  on: {
    numbers: (ctx, value) => {
      ctx.set(`${ctx.join('names') ?? '-'} ${ctx.lookup('rates', String(value)) ?? '-'}`)
    },
  },
}

const copying = { ...edges, joins: [joined], lookups: [looked] }

class CopyHarness extends Harness {
  /** The topics that others make. */
  async others(): Promise<void> {
    await this.log.ensure([
      { name: joined.topic, kind: 'table', partitions },
      { name: looked.topic, kind: 'table', partitions: lookupPartitions },
    ])
  }

  async name(key: string, value: string | null): Promise<void> {
    const at = Buffer.from(key)
    const partition = partitionOf(at, partitions, 'murmur2')
    await this.log.append([
      {
        topic: joined.topic,
        partition,
        key: at,
        value: value === null ? null : Buffer.from(value),
        timestamp: 1,
      },
    ])
  }

  async rate(key: string, value: number, count = lookupPartitions): Promise<void> {
    const at = Buffer.from(key)
    const partition = partitionOf(at, count, 'fnv1a')
    await this.log.append([
      { topic: looked.topic, partition, key: at, value: Buffer.from(String(value)), timestamp: 1 },
    ])
  }

  /** What a record of the key, with the value, reads once all that is in the tables is copied. */
  async reads(key: string, value = 'eur'): Promise<string> {
    await this.copied()
    const at = Buffer.from(key)
    const partition = partitionOf(at, partitions, 'murmur2')
    await this.log.append([
      { topic: 'numbers', partition, key: at, value: Buffer.from(value), timestamp: 1 },
    ])
    await this.settled()
    return String(this.store.partition(partition).get(at))
  }

  async copied(): Promise<void> {
    await this.log.quiet()
    await until('the copies are at their ends', () =>
      this.group.copied.every(
        ({ topic, partition, offset }) => offset >= this.log.stableEnd(topic, partition),
      ),
    )
  }
}

async function harness(of: Partial<ConstructorParameters<typeof Harness>[0]> = {}) {
  const h = new CopyHarness({ definition, edges: copying, clock: fastClock, ...of })
  await h.prepare()
  return h
}

t.test('they are read as they are in the log, however it behaves', async (t) => {
  for (let seed = 1; seed <= 12; seed += 1) {
    const h = await harness({ seed, faults: { gaps: 0.2, markers: 0.2, openTransactions: 0.2 } })
    await h.others()
    for (let n = 0; n < 40; n += 1) await h.name(`k${n % 20}`, n === 33 ? null : `v${n}`)
    for (let n = 0; n < 20; n += 1) await h.rate(`c${n}`, n * 10)
    await h.start()
    t.equal(await h.reads('k5', 'c7'), 'v25 70')
    t.equal(await h.reads('k13', 'c0'), '- 0', 'what was deleted is gone')
    await h.name('k5', 'later')
    await h.rate('c7', 71)
    t.equal(await h.reads('k5', 'c7'), 'later 71', 'and they follow')
    await h.kill()
    await h.name('k5', 'meanwhile')
    await h.start()
    t.equal(await h.reads('k5', 'c7'), 'meanwhile 71', 'also over a death')
    await h.drain()
    t.same(h.halts, [])
    t.same(h.warnings, [])
    const far = /^the (join names|lookup rates), partition \d+: at \d+ of \d+$/
    t.ok(
      h.waits.flat().some((what) => far.test(what)),
      'it told how far they have come',
    )
    await h.end()
  }
})

t.test('no record is handled before they are there, and it says what it waits for', async (t) => {
  const h = await harness()
  const starting = h.start()
  await until('it says so', () => h.waits.at(-1)?.some((what) => what.includes('names-table')))
  await h.emit('numbers', 'a', 'x')
  t.equal(h.states.includes('running 0'), false)
  await h.others()
  await h.name('a', 'Ann')
  await starting
  await h.settled()
  t.equal(await h.reads('a'), 'Ann -')
  t.same(h.waits.at(-1), [], 'and then nothing more')
  await h.end()
})

t.test('a joined table with another number of partitions halts, and says what to do', async (t) => {
  const h = await harness()
  await h.log.ensure([
    { name: joined.topic, kind: 'table', partitions: partitions + 1 },
    { name: looked.topic, kind: 'table', partitions: lookupPartitions },
  ])
  await h.start()
  await until('it halts', () => h.halts.length > 0)
  t.match(h.halts[0]?.error, {
    code: 'TOPIC_MISMATCH',
    message: /3 partitions, the joined table names has 4 .*as a lookup/,
  })
  await h.end()
})

t.test('a table that is made anew is copied anew, and read only then', async (t) => {
  for (const isRunning of [true, false]) {
    const h = await harness()
    await h.others()
    await h.name('a', 'old')
    await h.name('b', 'old')
    await h.rate('eur', 1)
    await h.start()
    t.equal(await h.reads('a'), 'old 1')
    if (!isRunning) await h.drain()
    await h.log.remove([joined.topic, looked.topic])
    await h.others()
    await h.name('a', 'new')
    await h.rate('usd', 2)
    if (!isRunning) await h.start()
    await until('it is made anew', () => h.warnings.some((what) => what.includes('made anew')))
    t.equal(await h.reads('a'), 'new -')
    t.equal(await h.reads('b', 'usd'), '- 2')
    t.same(h.halts, [])
    await h.end()
  }
})

t.test('one that could not be mended is mended when the function is resumed', async (t) => {
  const h = await harness()
  await h.others()
  await h.name('a', 'old')
  await h.start()
  t.equal(await h.reads('a'), 'old -')
  await h.log.remove([joined.topic])
  await h.log.ensure([{ name: joined.topic, kind: 'table', partitions: partitions + 1 }])
  await until('it halts', () => h.halts.length > 0)
  t.match(h.halts[0]?.error, { code: 'TOPIC_MISMATCH' })
  await h.log.remove([joined.topic])
  await h.others()
  await h.name('a', 'new')
  h.group.resume()
  t.equal(await h.reads('a'), 'new -')
  await h.end()
})

t.test('a looked-up table with other partitions than before is read in all of them', async (t) => {
  for (const count of [lookupPartitions - 3, lookupPartitions + 4]) {
    const h = await harness()
    await h.others()
    await h.rate('old', 1)
    await h.start()
    t.equal(await h.reads('a', 'old'), '- 1')
    await h.log.remove([looked.topic])
    await h.log.ensure([{ name: looked.topic, kind: 'table', partitions: count }])
    for (let n = 0; n < 30; n += 1) await h.rate(`c${n}`, n, count)
    for (let n = 0; n < 30; n += 1) t.equal(await h.reads('a', `c${n}`), `- ${n}`)
    t.equal(await h.reads('a', 'old'), '- -')
    t.equal(h.group.isIdle, true)
    t.equal((await h.store.copies()).filter(({ topic }) => topic === looked.topic).length, count)
    await h.end()
  }
})

t.test('a damaged copy beside a table that is waited for halts, and ends no thread', async (t) => {
  const h = await harness()
  await h.log.ensure([{ name: joined.topic, kind: 'table', partitions }])
  const meta = () => {
    throw new HostError('STORE_DAMAGED', 'a value does not have its checksum')
  }
  h.store = changed(h.store, { copy: (_, { topic }) => (topic === joined.topic ? { meta } : {}) })
  const starting = h.start()
  await until('it halts', () => h.halts.length > 0)
  t.match(h.halts[0]?.error, { code: 'STORE_DAMAGED' })
  await h.end()
  await starting
})

t.test('a store that takes nothing more is told of, and not tried for ever', async () => {
  const h = await harness()
  await h.others()
  await h.name('a', 'Ann')
  const write = () => Promise.reject(new HostError('STORE_FAILED', 'no room'))
  h.store = changed(h.store, { copy: () => ({ write }) })
  await h.start()
  await until('it is told', () => h.states.some((state) => state.startsWith('detached')))
  await h.end()
})

t.test('a topic that is deleted while it is copied is waited for', async (t) => {
  const h = await harness()
  await h.others()
  await h.name('a', 'old')
  const describe = h.log.describe.bind(h.log)
  let isRemoved = false
  h.log.describe = async (names) => {
    const found = await describe(names)
    if (names.includes(joined.topic) && !isRemoved) {
      isRemoved = true
      await h.log.remove([joined.topic])
    }
    return found
  }
  const starting = h.start()
  await until('it is gone', () => isRemoved)
  await h.others()
  await h.name('a', 'new')
  await starting
  t.equal(await h.reads('a'), 'new -')
  t.same(h.halts, [])
  await h.end()
})

t.test('what of a copy is not read any more is cleared away', async (t) => {
  const h = await harness()
  await h.others()
  await h.name('a', 'Ann')
  await h.start()
  t.equal(await h.reads('a'), 'Ann -')
  await h.drain()
  await h.store.copy({ topic: 'of-before', partition: 1 }).write([], {
    layout: 2,
    changelog: { topic: 'of-before', topicId: 'x', next: 1, leaderEpoch: 0 },
    appliedAt: 0,
    inputs: [],
  })
  await h.start()
  t.equal(await h.reads('a'), 'Ann -')
  t.same(
    (await h.store.copies()).filter(({ topic }) => topic === 'of-before'),
    [],
  )
  await h.end()
})

t.test('so are those of a function that reads no others any more', async (t) => {
  const store = createMemoryStore()
  const copy = store.copy({ topic: 'of-before', partition: 1 })
  await copy.write([[Buffer.from('a'), Buffer.from('old')]], {
    layout: 2,
    changelog: { topic: 'of-before', topicId: 'x', next: 1, leaderEpoch: 0 },
    appliedAt: 0,
    inputs: [],
  })
  const { joins: _, lookups: __, ...alone } = definition
  const h = await harness({
    definition: { ...alone, on: { numbers: (ctx, value) => ctx.set(String(value)) } },
    edges,
  })
  h.store = store
  await h.start()
  t.same(await store.copies(), [])
  await h.end()
})

t.test('a copy that was away for longer than deletions are kept is made anew', async (t) => {
  const h = await harness()
  await h.others()
  await h.name('a', 'Ann')
  await h.start()
  t.equal(await h.reads('a'), 'Ann -')
  await h.drain()
  const copy = h.store.copy({
    topic: joined.topic,
    partition: partitionOf(Buffer.from('a'), partitions, 'murmur2'),
  })
  const meta = copy.meta()
  if (meta === undefined) throw new Error('it has no copy')
  t.ok(Date.now() - meta.appliedAt < 60_000, 'it was noted at the end that it was at the end')
  await copy.write([[Buffer.from('ghost'), Buffer.from('deleted since')]], {
    ...meta,
    appliedAt: Date.now() - 3_600_000,
  })
  await h.name('a', 'Anna')
  await h.start()
  t.equal(await h.reads('a'), 'Anna -')
  t.equal(copy.get(Buffer.from('ghost')), undefined)
  await h.end()
})

t.test('one that stood still for as long while it was followed is made anew, too', async (t) => {
  let passed = 0
  const h = await harness({ clock: { ...fastClock, wallTime: () => Date.now() + passed } })
  await h.others()
  await h.name('a', 'Ann')
  await h.start()
  t.equal(await h.reads('a'), 'Ann -')
  const of = {
    topic: joined.topic,
    partition: partitionOf(Buffer.from('a'), partitions, 'murmur2'),
  }
  const copy = h.store.copy(of)
  const meta = copy.meta()
  if (meta === undefined) throw new Error('it has no copy')
  await copy.write([[Buffer.from('ghost'), Buffer.from('deleted since')]], meta)
  passed = 3_600_000
  await h.name('a', 'Anna')
  await until('it is made anew', () => h.warnings.some((what) => what.includes('made anew')))
  t.equal(await h.reads('a'), 'Anna -')
  t.equal(h.store.copy(of).get(Buffer.from('ghost')), undefined)
  t.same(h.halts, [])
  await h.end()
})

t.test('a table that is not declared is no table', async (t) => {
  const on: RunnableDefinition['on'] = {
    numbers: (ctx) => void ctx.lookup('names', 'a'),
  }
  const h = await harness({ definition: { ...definition, on } })
  await h.others()
  await h.start()
  await h.emit('numbers', 'a', 1)
  await until('it halts', () => h.halts.length > 0)
  t.match(h.halts[0]?.error.message, /not in this function's lookups \(declared: rates\)/)
  await h.end()
})

t.test(
  'what is joined with a partition that goes is not read on, until it comes back',
  async (t) => {
    const h = await harness()
    await h.others()
    await h.rate('eur', 1)
    await h.name('a', 'Ann')
    await h.start()
    t.equal(await h.reads('a'), 'Ann 1')
    const own = partitionOf(Buffer.from('a'), partitions, 'murmur2')
    const others = [0, 1, 2].filter((partition) => partition !== own)
    const copied = () =>
      h.group.copied.flatMap(({ topic, partition }) => (topic === joined.topic ? partition : []))
    await h.group.revoke({ isLast: false })
    const goOn = await h.group.assign({ partitions: others, kept: others, standbys: [] })
    goOn()
    t.same(copied().sort(), others)
    await h.name('a', 'Anna')
    await h.rate('eur', 2)
    await h.copied()
    const stored = h.store.copy({ topic: joined.topic, partition: own }).get(Buffer.from('a'))
    t.equal(String(stored), 'Ann')
    await h.group.revoke({ isLast: false })
    const goOnAgain = await h.group.assign({ partitions: [0, 1, 2], kept: others, standbys: [] })
    goOnAgain()
    t.equal(await h.reads('a'), 'Anna 2')
    await h.end()
  },
)

t.test(
  'a partition that goes while its join is waited for is not waited for any more',
  async (t) => {
    const h = await harness()
    await h.log.ensure([{ name: looked.topic, kind: 'table', partitions: lookupPartitions }])
    const starting = h.start()
    await until('it waits', () => h.waits.at(-1)?.some((what) => what.includes('names-table')))
    await h.group.revoke({ isLast: false })
    const goOn = await h.group.assign({ partitions: [0], kept: [0], standbys: [] })
    goOn()
    await starting
    await h.others()
    await until('it runs', () => h.states.includes('running 0'))
    t.same(
      h.group.copied.flatMap(({ topic, partition }) => (topic === joined.topic ? partition : [])),
      [0],
    )
    t.same(h.waits.at(-1), [])
    await h.end()
  },
)

t.test('nor is one that goes while a part of what it joins is being stored', async (t) => {
  const { held, release } = hold()
  let isStored = false
  let isWritten = false
  const store = changed(createMemoryStore(), {
    copy: (copy, { topic, partition }) => ({
      async write(changes, meta) {
        const isFirst = topic === joined.topic && partition === own && !isStored
        if (isFirst) {
          isStored = true
          await held
        }
        await copy.write(changes, meta)
        if (isFirst) isWritten = true
      },
    }),
  })
  const own = partitionOf(Buffer.from('a'), partitions, 'murmur2')
  const others = [0, 1, 2].filter((partition) => partition !== own)
  const h = await harness()
  h.store = store
  await h.others()
  await h.name('a', 'Ann')
  const starting = h.start()
  await until('it is being stored', () => isStored)
  await h.group.revoke({ isLast: false })
  const goOn = await h.group.assign({ partitions: others, kept: [], standbys: [] })
  goOn()
  release()
  await starting
  await until('the others run', () =>
    others.every((partition) => h.states.includes(`running ${partition}`)),
  )
  await until('what was under way has ended', () => isWritten)
  await h.copied()
  t.same(h.waits.at(-1), [])
  await h.end()
})
