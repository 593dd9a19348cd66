// Compaction of tables in the embedded log: what readers find before, during and after it, and after a kill in between.
import t, { type Test } from 'tap'
import type { Log, LogRecord, RecordToAppend } from '#host/log/log.js'
import { createMemoryStore } from '#host/tables/memory.js'
import { recover } from '#host/tables/recovery.js'
import { testFolder } from '../../support/folder.js'
import { until } from '../../support/until.js'
import { from, logConformance, record, values } from './conformance.js'
import {
  type InProcessLog,
  type InProcessOptions,
  killedAt,
  openInProcess,
  watched,
} from './in-process.js'

const table = { name: 'counts', kind: 'table', partitions: 1 } as const
const at = { topic: 'counts', partition: 0 }

async function open(t: Test, options: InProcessOptions): Promise<InProcessLog> {
  const own = await openInProcess(options)
  t.teardown(() => own[Symbol.asyncDispose]())
  return own
}

/** From a position to the end. */
async function readAll(log: Log, offset = 0, maxBytes = 1_000_000): Promise<LogRecord[]> {
  const info = (await log.describe(['counts'])).get('counts')
  const end = info?.partitions[0]?.stableEnd ?? 0
  await using reader = log.reader({ maxBytes })
  reader.assign([from('counts', 0, offset)])
  const found: LogRecord[] = []
  for (let next = offset; next < end; ) {
    for (const batch of await reader.next()) {
      if (batch.from !== next || batch.next <= next) throw new Error(`${batch.from} ${next}`)
      found.push(...batch.records)
      next = batch.next
    }
  }
  return found
}

const set = (key: string, value: string | null, more: Partial<RecordToAppend> = {}) =>
  record('counts', 0, value, { key: Buffer.from(key), ...more })

type Sent = Pick<LogRecord, 'offset' | 'timestamp' | 'key' | 'value' | 'headers'>

/** As a program may compare them: by offset and bytes. */
const shown = ({ offset, timestamp, key, value, headers }: Sent): string =>
  JSON.stringify([offset, timestamp, key?.toString(), value?.toString(), headers])

const pairs = (records: readonly LogRecord[]): string[] =>
  records.map(({ key, value }) => `${key}=${value}`)

/** A sequence that a seed gives. */
function randomOf(seed: number): (below: number) => number {
  let state = seed * 2654435761
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 0x9e3779b9) >>> 0
    return (state >>> 8) % below
  }
}

logConformance(t, 'embedded, compacted', async (t) => {
  const { log, compact } = await open(t, { path: testFolder(t) })
  return { log, compact }
})

void t.test('of each key the last record stays, at its offset', async (t) => {
  const { log, compact } = await open(t, { path: testFolder(t) })
  await log.ensure([table])
  for (const value of ['1', '2', '3']) {
    await log.append([set('a', value), set('b', value, { headers: [['h', Buffer.from(value)]] })])
  }
  await log.append([set('c', 'last')])
  const before = await log.describe(['counts'])
  await compact('counts', 0)
  const found = await readAll(log)
  t.same(pairs(found), ['a=3', 'b=3', 'c=last'])
  t.same(
    found.map(({ offset }) => offset),
    [4, 5, 6],
  )
  t.same(found[1]?.headers, [['h', Buffer.from('3')]])
  t.same(await log.describe(['counts']), before, 'neither the oldest offset nor the end moves')
  t.same(await log.append([set('a', '4')]), [7])
  t.same(pairs(await readAll(log, 5)), ['b=3', 'c=last', 'a=4'])
})

void t.test('the last entry of a partition is left as it is', async (t) => {
  const { log, compact } = await open(t, { path: testFolder(t) })
  await log.ensure([table])
  await compact('counts', 0)
  await log.append([set('a', '1'), set('a', '2')])
  await compact('counts', 0)
  t.same(pairs(await readAll(log)), ['a=1', 'a=2'])
  await log.append([set('a', '3'), set('a', '4')])
  await compact('counts', 0)
  t.same(pairs(await readAll(log)), ['a=2', 'a=3', 'a=4'])
})

void t.test('a deletion stays for its time, counted from when it was found', async (t) => {
  let time = 1_000_000
  const path = testFolder(t)
  const now = (): number => time
  let own = await openInProcess({ path, now })
  const pass = async (): Promise<string[]> => {
    await own.compact('counts', 0, { tombstoneRetentionMs: 1000 })
    return pairs(await readAll(own.log))
  }
  await own.log.ensure([table])
  await own.log.append([set('a', '1'), set('b', '1')])
  await own.log.append([set('a', null, { timestamp: 1 })])
  await own.log.append([set('z', '1')])
  time += 5000
  t.same(await pass(), ['b=1', 'a=null', 'z=1'], 'however old it says it is')
  time += 999
  await own.log.append([set('y', '1')])
  t.same(await pass(), ['b=1', 'a=null', 'z=1', 'y=1'], 'and passes do not prolong it')
  await own[Symbol.asyncDispose]()
  own = await openInProcess({ path, now })
  t.teardown(() => own[Symbol.asyncDispose]())
  t.equal(own.partition('counts', 0).cleaned.tombstoneAt, 1_005_000, 'known after a restart')
  time += 1
  t.same(await pass(), ['b=1', 'z=1', 'y=1'])
  t.equal(own.partition('counts', 0).cleaned.tombstoneAt, 0)
})

void t.test('the newest record stays, though it is a deletion: it has the positions', async (t) => {
  let time = 1
  const { log, compact } = await open(t, { path: testFolder(t), now: () => time })
  await log.ensure([table])
  await log.append([set('a', '1')])
  await log.append([set('a', null, { headers: [['positions', Buffer.from('7')]] })])
  for (let pass = 0; pass < 3; pass++) {
    await compact('counts', 0, { tombstoneRetentionMs: 1 })
    time += 1000
  }
  const newest = (await readAll(log)).at(-1)
  t.same(newest?.headers, [['positions', Buffer.from('7')]])
  t.equal(newest?.value, null)
})

void t.test('records without a key are no one’s older ones', async (t) => {
  const { log, compact } = await open(t, { path: testFolder(t) })
  await log.ensure([table])
  for (const value of ['1', '2']) {
    await log.append([record('counts', 0, value, { key: null }), set('', value)])
  }
  await log.append([set('z', '1')])
  await compact('counts', 0)
  t.same(values(await readAll(log)), ['1', '2', '2', '1'])
})

for (let seed = 1; seed <= 6; seed++) {
  void t.test(`a table reads alike before and after any passes (seed ${seed})`, async (t) => {
    const random = randomOf(seed)
    const path = testFolder(t)
    let time = 1_000_000
    const now = (): number => time
    let own = await openInProcess({ path, now })
    await own.log.ensure([table])
    const model: Sent[] = []
    const older = new Map<string, number>()
    for (let round = 0; round < 60; round++) {
      const records = Array.from({ length: 1 + random(20) }, () =>
        set(`k${random(12)}`, random(5) === 0 ? null : `${random(1e9)}`.repeat(1 + random(30)), {
          timestamp: random(1e6),
          ...(random(7) === 0 ? { key: null } : {}),
          ...(random(4) === 0 ? { headers: [['h', Buffer.from(`${random(100)}`)]] } : {}),
        }),
      )
      const offsets = await own.log.append(records)
      records.forEach(({ key, value, timestamp, headers = [] }, i) => {
        const offset = offsets[i] ?? -1
        model.push({ offset, key, value, timestamp, headers })
        if (key !== null) older.set(key.toString(), offset)
      })
      time += random(50)
      if (random(3) === 0) {
        const keyBytes = random(2) === 0 ? 1 : 100_000
        await own.compact('counts', 0, { tombstoneRetentionMs: 100, keyBytes })
      }
      if (random(10) === 0) {
        await own[Symbol.asyncDispose]()
        own = await openInProcess({ path, now })
      }
    }
    const found = await readAll(own.log)
    const sent = new Map(model.map((one) => [one.offset, shown(one)]))
    t.ok(
      found.every((one) => shown(one) === sent.get(one.offset)),
      'as it was sent',
    )
    t.ok(found.length < model.length * 0.8, 'and much is gone')
    const offsets = new Set(found.map(({ offset }) => offset))
    const gone = model.filter(({ offset, key, value }) => {
      const isLast = key === null || older.get(key.toString()) === offset
      return isLast && value !== null && !offsets.has(offset)
    })
    t.same(gone, [], 'every value that counts is there')
    const kept = new Map<string, string>()
    for (const { key, value } of found) {
      if (key === null) continue
      if (value === null) kept.delete(key.toString())
      else kept.set(key.toString(), value.toString())
    }
    const expected = model.filter(
      ({ offset, key, value }) =>
        key !== null && value !== null && older.get(key.toString()) === offset,
    )
    t.same(
      new Map([...kept].sort()),
      new Map(expected.map(({ key, value }) => [`${key}`, `${value}`] as const).sort()),
      'what was deleted does not come back',
    )
    // From every position, also where no record is any more, and in the smallest steps.
    for (let offset = 0; offset < model.length; offset += 1 + random(5)) {
      const rest = found.filter((one) => one.offset >= offset)
      t.same((await readAll(own.log, offset, 1)).map(shown), rest.map(shown), `from ${offset}`)
    }
    const [first] = await own.log.offsetAt('counts', 900_000)
    const wanted = found.find(({ timestamp }) => timestamp >= 900_000)
    t.equal(first?.offset, wanted?.offset ?? model.length)
    t.same(own.problems, [])
    await own[Symbol.asyncDispose]()
  })
}

for (const before of ['the first pass', 'a pass behind another'] as const) {
  void t.test(`a kill at any write of ${before} leaves a table that reads the same`, async (t) => {
    const random = randomOf(1)
    const write = async (log: Log): Promise<void> => {
      await log.ensure([table])
      for (let round = 0; round < 12; round++) {
        // Large enough for several entries, so that a pass has several writes.
        const value = 'x'.repeat(60_000)
        const records = Array.from({ length: 4 }, () =>
          set(`k${random(24)}`, random(6) === 0 ? null : `${round}${value}`),
        )
        await log.append(records)
      }
    }
    const stateOf = async (log: Log): Promise<string[]> => {
      const state = new Map<string, string | null>()
      for (const { key, value } of await readAll(log)) state.set(`${key}`, value && `${value}`)
      return [...state]
        .filter(([, value]) => value !== null)
        .map(([key, value]) => `${key}${value}`)
        .sort()
    }
    let isWhole = false
    let kills = 0
    for (let nth = 1; !isWhole; nth++) {
      const path = testFolder(t)
      const intact = await openInProcess({ path: `${path}/${nth}` })
      await write(intact.log)
      if (before === 'a pass behind another') {
        await intact.compact('counts', 0)
        await write(intact.log)
      }
      const expected = await stateOf(intact.log)
      const info = await intact.log.describe(['counts'])
      const end = info.get('counts')?.partitions[0]?.stableEnd
      await intact[Symbol.asyncDispose]()
      // The first write is that of the new epoch.
      const dying = await openInProcess({ path: `${path}/${nth}`, wrap: killedAt(nth + 1) })
      isWhole = await dying.compact('counts', 0).then(
        () => true,
        () => false,
      )
      if (!isWhole) kills++
      await dying[Symbol.asyncDispose]()
      const again = await open(t, { path: `${path}/${nth}` })
      t.same(await stateOf(again.log), expected, `killed at write ${nth}`)
      await again.compact('counts', 0)
      t.same(await stateOf(again.log), expected, 'and the pass is made up for')
      t.same(await again.log.append([set('k', 'new')]), [end])
    }
    t.ok(kills >= 3, `a pass has several writes (${kills})`)
  })
}

void t.test('a reader whose entry was merged into another goes on', async (t) => {
  const { log, compact } = await open(t, { path: testFolder(t) })
  await log.ensure([table])
  // Larger than what a reader takes of a partition at least.
  const pad = '.'.repeat(20_000)
  for (let i = 0; i < 10; i++) await log.append([set(`k${i % 2}`, `${i}${pad}`)])
  await using reader = log.reader({ maxBytes: 1 })
  reader.assign([from('counts', 0, 0)])
  const [first] = await reader.next()
  t.ok(first !== undefined && first.next < 10, 'it stands before an entry')
  await compact('counts', 0)
  const found: LogRecord[] = []
  for (let next = first?.next ?? 0; next < 10; ) {
    for (const batch of await reader.next()) {
      t.equal(batch.from, next)
      found.push(...batch.records)
      next = batch.next
    }
  }
  t.same(
    found.map(({ offset }) => offset),
    [7, 8, 9],
  )
})

void t.test('readers and appends go on while passes run one after the other', async (t) => {
  const own = await open(t, {
    path: testFolder(t),
    maintenance: {
      intervalMs: 5,
      compaction: { minBytes: 1, dirtyRatio: 0, keyBytes: 100_000 },
    },
  })
  const { log } = own
  await log.ensure([table])
  const rounds = 150
  const writing = (async () => {
    for (let round = 0; round < rounds; round++) {
      await log.append(Array.from({ length: 20 }, (_, i) => set(`k${i}`, `${round}`)))
    }
    await log.append([set('end', 'end')])
  })()
  const follow = async (maxBytes: number): Promise<void> => {
    await using reader = log.reader({ maxBytes })
    reader.assign([from('counts', 0, 0)])
    const state = new Map<string, number>()
    for (let next = 0; ; ) {
      for (const batch of await reader.next()) {
        if (batch.from !== next) t.fail(`a batch from ${batch.from}, expected ${next}`)
        next = batch.next
        for (const { key, value } of batch.records) {
          if (`${key}` === 'end') {
            t.same(new Set(state.values()), new Set([rounds - 1]), 'every key has its last value')
            t.equal(state.size, 20)
            return
          }
          if (Number(value) < (state.get(`${key}`) ?? 0)) t.fail('an older value came later')
          state.set(`${key}`, Number(value))
        }
      }
    }
  }
  await Promise.all([writing, follow(1), follow(5000), follow(1_000_000)])
  t.same(own.problems, [])
  t.ok(own.partition('counts', 0).cleaned.end > 0, 'passes have run')
})

void t.test('a topic that is removed under a pass does not come back', async (t) => {
  let removal: Promise<unknown> | undefined
  let isPassing = false
  const own: InProcessLog = await open(t, {
    path: testFolder(t),
    wrap: (database) =>
      watched(database, (method) => {
        // A pass reads its entries: the topic goes in between.
        if (method === 'iterator' && isPassing) removal ??= own.log.remove(['counts'])
      }),
  })
  await own.log.ensure([table])
  for (let i = 0; i < 300; i++) await own.log.append([set(`k${i % 3}`, `${i}`)])
  isPassing = true
  await own.compact('counts', 0).catch(() => {})
  isPassing = false
  t.ok(removal !== undefined)
  await removal
  await own.log[Symbol.asyncDispose]()
  const again = await open(t, { path: t.testdirName })
  const range = { gte: Buffer.of(0x10), lt: Buffer.of(0x11) }
  t.same(await again.database.keys(range).all(), [])
})

void t.test('a damaged table is warned of once and left alone, others are compacted', async (t) => {
  const path = testFolder(t)
  const names = ['counts', 'others']
  const own = await openInProcess({ path })
  await own.log.ensure(names.map((name) => ({ ...table, name })))
  for (const name of names) {
    for (let i = 0; i < 5; i++) await own.log.append([record(name, 0, `${i}`)])
  }
  const [entry] = await own.database
    .iterator({ gte: Buffer.of(0x10), lt: Buffer.of(0x11), limit: 1 })
    .all()
  if (entry === undefined) throw new Error('the log has no entry')
  entry[1][entry[1].length - 1] = 0
  await own.database.put(entry[0], entry[1])
  await own[Symbol.asyncDispose]()
  const again = await open(t, {
    path,
    maintenance: { intervalMs: 1, compaction: { minBytes: 1, dirtyRatio: 0, keyBytes: 1000 } },
  })
  for (let i = 5; again.partition('others', 0).cleaned.end < 5; i++) {
    await again.log.append(names.map((name) => record(name, 0, `${i}`)))
  }
  t.match(again.problems, [{ code: 'LOG_DAMAGED', stream: 'counts', partition: 0, offset: 0 }])
  t.equal(again.problems.length, 1)
  t.equal(again.partition(at.topic, 0).cleaned.end, 0)
})

for (let seed = 1; seed <= 4; seed++) {
  const title = `a table that was away for less than deletions stay misses none (seed ${seed})`
  void t.test(title, async (t) => {
    const random = randomOf(seed)
    const tombstoneRetentionMs = 1000
    let time = 1_000_000
    const own = await open(t, { path: testFolder(t), now: () => time })
    await own.log.ensure([table])
    const store = createMemoryStore().partition(0)
    const model = new Map<string, string>()
    let wiped = 0
    let kept = 0
    for (let round = 0; round < 150; round++) {
      const key = `k${random(40)}`
      const value = random(3) === 0 ? null : `${round}`
      await own.log.append([set(key, value)])
      if (value === null) model.delete(key)
      else model.set(key, value)
      time += random(100)
      if (random(2) === 0) await own.compact('counts', 0, { tombstoneRetentionMs })
      if (random(8) !== 0) continue
      time += random(1500)
      const changelog = (await own.log.describe(['counts'])).get('counts')
      if (changelog === undefined) throw new Error('the table has no topic')
      const before = wiped
      await recover({
        log: own.log,
        store,
        partition: 0,
        changelog,
        tombstoneRetentionMs,
        wallTime: () => time,
        onHeldUp: () => {},
        onWiped: () => {
          wiped++
        },
        onProgress: () => {},
        signal: new AbortController().signal,
      })
      if (wiped === before) kept++
      const found: [string, string][] = []
      for await (const page of store.range()) {
        for (const one of page) found.push([`${one.key}`, `${one.value}`])
      }
      t.same(new Map(found), new Map([...model].sort()), `after round ${round}`)
    }
    t.ok(wiped > 0 && kept > 0, `away for long ${wiped} times, for less ${kept} times`)
  })
}

void t.test('a last entry that is large keeps nothing else from being maintained', async (t) => {
  const { log } = await open(t, {
    path: testFolder(t),
    maintenance: {
      intervalMs: 5,
      retentionMs: 1,
      compaction: { minBytes: 1_000, dirtyRatio: 0.5, keyBytes: 1_000_000 },
    },
  })
  await log.ensure([table, { name: 'clicks', kind: 'stream', partitions: 1 }])
  await log.append([set('a', 'x'.repeat(5_000))])
  await log.append([record('clicks', 0, 'old', { timestamp: 1 })])
  const oldest = async () => (await log.describe(['clicks'])).get('clicks')?.partitions[0]?.oldest
  await until('the stream expires', async () => (await oldest()) === 1)
  t.equal(await oldest(), 1)
})

void t.test('a pass holds a bounded part of what it drops', async (t) => {
  let writes = 0
  const { log, compact } = await open(t, {
    path: testFolder(t),
    wrap: (database) =>
      watched(database, (method) => {
        writes += Number(method === 'batch')
      }),
  })
  await log.ensure([table])
  for (let n = 0; n < 60; n += 1) {
    await log.append(
      Array.from({ length: 200 }, (_, i) => set(`k${i % 10}`, `${n}`.padEnd(1_000, 'x'))),
    )
  }
  const before = writes
  await compact('counts', 0)
  t.ok(writes - before > 3, `12 MB were rewritten in ${writes - before} writes`)
  t.equal((await readAll(log)).length, 210, 'the last of each key, and the last entry')
})
