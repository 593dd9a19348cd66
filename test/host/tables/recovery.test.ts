// Each thing that can be found of a table partition, and what is done about it.
import t from 'tap'
import type { RecordToAppend, TopicInfo } from '#host/log/log.js'
import { createMemoryLog, type MemoryLog } from '#host/log/memory/log.js'
import { lacksOf } from '#host/tables/lack.js'
import { createMemoryStore } from '#host/tables/memory.js'
import { recover } from '#host/tables/recovery.js'
import type { PartitionStore } from '#host/tables/store.js'

const topic = 'count-table'
const hour = 3_600_000

interface World {
  readonly log: MemoryLog
  readonly store: PartitionStore
  readonly wiped: string[]
  /** Awaited before anything is wiped. */
  wiping: () => Promise<void>
  now: number
  put(key: string, value: string | null): Promise<void>
  info(): Promise<TopicInfo>
  recover(): ReturnType<typeof recover>
  table(): Promise<Record<string, string>>
}

async function world(seed = 1): Promise<World> {
  const log = createMemoryLog({
    seed,
    faults: { gaps: 0.3, markers: 0.5, emptyBatches: 0.2, delays: 0.3 },
  })
  t.teardown(() => log[Symbol.asyncDispose]())
  await log.ensure([{ name: topic, kind: 'table', partitions: 1 }])
  const store = createMemoryStore().partition(0)
  const made: World = {
    log,
    store,
    wiped: [],
    wiping: async () => {},
    now: 1_000 * hour,
    async put(key, value) {
      const record: RecordToAppend = {
        topic,
        partition: 0,
        key: Buffer.from(key),
        value: value === null ? null : Buffer.from(value),
        timestamp: 1,
      }
      await log.append([record], { atomic: true })
    },
    async info() {
      const found = (await log.describe([topic])).get(topic)
      if (found === undefined) throw new Error('no changelog')
      return found
    },
    async recover() {
      const recovered = await recover({
        log,
        store,
        partition: 0,
        changelog: await made.info(),
        tombstoneRetentionMs: 24 * hour,
        wallTime: () => made.now,
        onHeldUp: () => {},
        wiping: () => made.wiping(),
        onWiped: (reason) => made.wiped.push(reason),
        onProgress: () => {},
        signal: new AbortController().signal,
      })
      // As whoever recovers does.
      await store.write([], recovered.meta)
      return recovered
    },
    async table() {
      const entries: [string, string][] = []
      for await (const page of store.range()) {
        for (const { key, value } of page) entries.push([key.toString(), value.toString()])
      }
      return Object.fromEntries(entries)
    },
  }
  return made
}

t.test('nothing local: everything is replayed, deletions included', async (t) => {
  for (let seed = 1; seed <= 10; seed += 1) {
    const w = await world(seed)
    for (let i = 0; i < 20; i += 1) await w.put(`key-${i % 5}`, String(i))
    await w.put('key-2', null)
    const { meta } = await w.recover()
    t.same(await w.table(), { 'key-0': '15', 'key-1': '16', 'key-3': '18', 'key-4': '19' })
    t.ok(meta.changelog.next >= ((await w.info()).partitions[0]?.stableEnd ?? 0))
    t.same(w.wiped, [])
  }
})

t.test('nothing is wiped before it is known to who reads', async (t) => {
  const w = await world()
  await w.put('a', '1')
  await w.recover()
  const { store } = w
  const meta = store.meta()
  if (meta === undefined) throw new Error('no meta')
  const cases = {
    'of another topic': { ...meta, changelog: { ...meta.changelog, topicId: 'another' } },
    'of another layout': { ...meta, layout: meta.layout + 1 },
  }
  for (const [name, stored] of Object.entries(cases)) {
    await store.write([[Buffer.from('old'), Buffer.from('1')]], stored)
    let there: unknown
    w.wiping = async () => {
      there = await w.table()
    }
    await w.recover()
    t.same(there, { a: '1', old: '1' }, name)
    t.same(await w.table(), { a: '1' })
  }
  let isTold = false
  w.wiping = async () => {
    isTold = true
  }
  await w.recover()
  t.notOk(isTold, 'it is kept')
  // As an interrupted wipe leaves it.
  await store.wipe()
  await w.recover()
  t.ok(isTold, 'nobody knows what is there')
})

t.test('a local store that is behind is brought up from where it is', async (t) => {
  const w = await world()
  await w.put('a', '1')
  const first = await w.recover()
  await w.put('b', '2')
  const second = await w.recover()
  t.equal(first.applied, 1)
  t.equal(second.applied, 1)
  t.same(await w.table(), { a: '1', b: '2' })
  t.equal((await w.recover()).applied, 0)
  t.same(w.wiped, [])
})

t.test(
  'away for longer than tombstones are kept: rebuilt, so that no deleted key stays',
  async (t) => {
    const w = await world()
    await w.put('a', '1')
    await w.put('b', '2')
    await w.recover()
    // As compaction leaves it: the tombstone of `a` and what it deleted are gone.
    await w.put('a', null)
    await w.put('b', '3')
    await w.put('c', '4')
    const records = w.log.records(topic, 0)
    w.log.trim(topic, 0, records[3]?.offset ?? 0)
    w.now += 23 * hour
    await w.recover()
    t.match(w.wiped, [/no longer has what follows/])
    t.same(await w.table(), { b: '3', c: '4' })
  },
)

t.test('quiet for longer than tombstones are kept, but at the end: kept as it is', async (t) => {
  const w = await world()
  await w.put('a', '1')
  await w.recover()
  w.now += 100 * hour
  t.equal((await w.recover()).applied, 0)
  t.same(w.wiped, [])
  w.now += 20 * hour
  await w.put('b', '2')
  t.equal((await w.recover()).applied, 1, 'the last recovery counts as applied')
  w.now += 25 * hour
  await w.put('c', '3')
  t.equal((await w.recover()).applied, 3)
  t.match(w.wiped, [/was away for 25 h/])
})

t.test(
  'a changelog made anew is noticed by its id, even if it is longer than the one before',
  async (t) => {
    const w = await world()
    await w.put('old', '1')
    await w.recover()
    await w.log.remove([topic])
    await w.log.ensure([{ name: topic, kind: 'table', partitions: 1 }])
    for (let i = 0; i < 9; i += 1) await w.put(`new-${i}`, String(i))
    await w.recover()
    t.match(w.wiped, [/another topic than before/])
    t.notOk('old' in (await w.table()))
  },
)

t.test(
  'a changelog that was cut off is noticed, also when it has grown past the old end',
  async (t) => {
    for (const regrown of [0, 5]) {
      const w = await world()
      for (const key of ['a', 'b', 'c']) await w.put(key, '1')
      await w.recover()
      w.log.truncate(topic, 0, w.log.records(topic, 0)[1]?.offset ?? 0)
      for (let i = 0; i < regrown; i += 1) await w.put(`new-${i}`, '2')
      await w.recover()
      t.match(w.wiped, [/cut off below what is stored/], `${regrown} regrown`)
      t.same(Object.keys(await w.table()), [
        'a',
        ...Array.from({ length: regrown }, (_, i) => `new-${i}`),
      ])
    }
  },
)

t.test('an end that a leader of before tells is not taken for a cut', async (t) => {
  const w = await world()
  const { info } = w
  await w.put('a', '1')
  const then = await info()
  w.log.elect(topic, 0)
  await w.put('b', '2')
  await w.recover()
  w.info = async () => then
  await w.recover()
  t.same(w.wiped, [])
  await w.put('c', '3')
  const { meta } = await w.recover()
  t.same(await w.table(), { a: '1', b: '2', c: '3' })
  t.equal(meta.changelog.next, (await info()).partitions[0]?.end)
})

t.test('what was committed behind an end that is told too low is replayed, too', async (t) => {
  const w = await world()
  await w.put('a', '1')
  const then = await w.info()
  await w.put('b', '2')
  w.info = async () => then
  await w.recover()
  t.same(await w.table(), { a: '1', b: '2' })
})

t.test('what a store lacks is told, unless its recovery would wipe it', async (t) => {
  const w = await world()
  const lack = async (hasCopies = false) => {
    const options = { wallTime: () => w.now, tombstoneRetentionMs: 24 * hour, hasCopies }
    const [found] = lacksOf(await w.info(), () => w.store.meta(), options)
    return found
  }
  t.same(await lack(), { behind: undefined, all: 0 }, 'there is no store')
  await w.recover()
  t.same(await lack(), { behind: 0, all: 0 })
  await w.put('a', '1')
  const all = (await w.info()).partitions[0]?.end
  t.same(await lack(), { behind: undefined, all }, 'it has nothing of it')
  await w.recover()
  t.same(await lack(), { behind: 0, all })
  await w.put('b', '2')
  const { end = 0 } = (await w.info()).partitions[0] ?? {}
  t.same(await lack(), { behind: end - (all ?? 0), all: end })
  const withCopies = { behind: end - (all ?? 0), all: Number.POSITIVE_INFINITY }
  t.same(await lack(true), withCopies, 'whoever has nothing has copies of others to make, too')
  w.now += 25 * hour
  t.same(await lack(), { behind: undefined, all: end }, 'away for too long')
  await w.recover()
  await w.log.remove([topic])
  await w.log.ensure([{ name: topic, kind: 'table', partitions: 1 }])
  t.same(await lack(), { behind: undefined, all: 0 }, 'another topic')
})

t.test('another layout, or a wipe that was interrupted: rebuilt', async (t) => {
  const w = await world()
  await w.put('a', '1')
  const { meta } = await w.recover()
  await w.store.write([[Buffer.from('leftover'), Buffer.from('x')]], { ...meta, layout: 99 })
  await w.recover()
  t.match(w.wiped, [/layout 99/])
  t.same(await w.table(), { a: '1' })
})

t.test(
  'what lies behind an open transaction is waited for; an empty changelog does not hang it',
  async (t) => {
    const log = createMemoryLog({
      seed: 3,
      faults: { openTransactions: 1, emptyBatches: 1, markers: 1 },
    })
    t.teardown(() => log[Symbol.asyncDispose]())
    await log.ensure([{ name: topic, kind: 'stream', partitions: 1 }])
    const heldUp: string[] = []
    const options = {
      log,
      store: createMemoryStore().partition(0),
      partition: 0,
      tombstoneRetentionMs: hour,
      wallTime: () => 1,
      onHeldUp: (what: string) => void heldUp.push(what),
      onWiped: () => {},
      onProgress: () => {},
      signal: new AbortController().signal,
    }
    const info = async () => {
      const found = (await log.describe([topic])).get(topic)
      if (found === undefined) throw new Error('no changelog')
      return found
    }
    t.equal((await recover({ ...options, changelog: await info() })).applied, 0)
    await log.append([
      { topic, partition: 0, key: Buffer.from('k'), value: Buffer.from('v'), timestamp: 1 },
    ])
    t.same(heldUp, [])
    const { applied } = await recover({ ...options, changelog: await info() })
    t.equal(applied, 1, 'the table is as new as its positions')
    t.match(heldUp, [/another producer has a transaction open/])
  },
)

t.test('a stop in the middle of a replay ends it with the reason', async (t) => {
  const w = await world()
  await w.put('a', '1')
  const abort = new AbortController()
  abort.abort(new Error('stopping'))
  await t.rejects(
    recover({
      log: w.log,
      store: w.store,
      partition: 0,
      changelog: await w.info(),
      tombstoneRetentionMs: hour,
      wallTime: () => 1,
      onHeldUp: () => {},
      onWiped: () => {},
      onProgress: () => {},
      signal: abort.signal,
    }),
    /stopping/,
  )
})

t.test('a partition that the changelog does not have is an error that names both', async (t) => {
  const w = await world()
  await t.rejects(
    recover({
      log: w.log,
      store: w.store,
      partition: 7,
      changelog: await w.info(),
      tombstoneRetentionMs: hour,
      wallTime: () => 1,
      onHeldUp: () => {},
      onWiped: () => {},
      onProgress: () => {},
      signal: new AbortController().signal,
    }),
    { code: 'TOPIC_MISMATCH', message: /count-table has no partition 7/ },
  )
})
