// What is read back after a move: tables may have lost what was superseded, streams what has expired here, and nothing else passes.
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Log, RecordToAppend } from '#host/log/log.js'
import { createMemoryLog, type MemoryLog } from '#host/log/memory/log.js'
import { Patience } from '#host/move/patience.js'
import { RecordDigest, recordChecksum } from '#host/move/record-digest.js'
import { compareTable, type TableCheck } from '#host/move/table-check.js'
import { testFolder } from '../../support/folder.js'
import { type InProcessLog, openInProcess } from '../log/in-process.js'
import { contentOf, fill, move, moveUntilVerifying, tableRecord } from './moving.js'

const signal = new AbortController().signal

async function inProcess(t: Test, path = testFolder(t)): Promise<InProcessLog> {
  const opened = await openInProcess({ path })
  t.teardown(() => opened[Symbol.asyncDispose]())
  return opened
}

async function table(t: Test, records: readonly RecordToAppend[]): Promise<MemoryLog> {
  const log = createMemoryLog()
  t.teardown(() => log[Symbol.asyncDispose]())
  await log.ensure([{ name: 'count-table', kind: 'table', partitions: 1 }])
  await log.append(records)
  return log
}

async function compare(
  source: Log,
  target: Log,
  { positions = [] as readonly number[], keyBytes = 1_000_000 } = {},
): Promise<TableCheck> {
  const endsOf = async (log: Log) => {
    const info = (await log.describe(['count-table'])).get('count-table')
    const { oldest = 0, stableEnd = 0 } = info?.partitions[0] ?? {}
    return { from: oldest, to: stableEnd }
  }
  return await compareTable('count-table', 0, {
    source,
    target,
    from: await endsOf(source),
    to: await endsOf(target),
    positions,
    readBytes: 1_000,
    keyBytes,
    patience: new Patience({ patienceMs: 1_000, signal, notice: () => {} }),
    signal,
  })
}

const set = (key: string, value: number | null): RecordToAppend => tableRecord(0, key, value)

t.test('a table that was compacted there is the same table', async (t) => {
  const folder = testFolder(t)
  const { log: source } = await inProcess(t, join(folder, 'here'))
  await fill(source)
  for (let i = 0; i < 40; i++) {
    const large = { ...set('large', i), value: Buffer.alloc(4_000, `${i} `) }
    await source.append([large, set('alice', i)])
  }
  const target = await inProcess(t, join(folder, 'there'))
  // Before it is verified: what is done then is done with the next look at it.
  let isCompacted = false
  const compacting: Log = new Proxy(target.log, {
    get(log, name) {
      if (name === 'describe' && isCompacted) {
        return async (names: readonly string[]) => {
          for (const partition of [0, 1, 2, 3]) await target.compact('count-table', partition)
          return await log.describe(names)
        }
      }
      const found: unknown = Reflect.get(log, name, log)
      return typeof found === 'function' ? found.bind(log) : found
    },
  })
  const events = {
    phase: (phase: string) => {
      isCompacted ||= phase === 'copying'
    },
    moved: () => {},
    verified: () => {},
  }
  const { result } = await move(source, compacting, { events })
  const counts = result.topics.find(({ name }) => name === 'count-table')
  t.ok(counts !== undefined && counts.superseded > 10, `${counts?.superseded} are superseded`)
  const latest = async (log: Log) =>
    new Map(
      (await contentOf(log))['count-table/0']?.map((record) => [record.split(' ')[1], record]),
    )
  t.strictSame(await latest(target.log), await latest(source))
})

t.test(
  'superseded records may be missing, and positions are of the next that is there',
  async (t) => {
    const all = [set('a', 1), set('b', 1), set('a', 2), set('c', 1), set('b', 2), set('a', 3)]
    const source = await table(t, all)
    const target = await table(t, [set('c', 1), set('b', 2), set('a', 3)])
    const found = await compare(source, target, { positions: [0, 2, 4, 5, 6] })
    t.strictSame('places' in found && [...found.places].sort(), [
      [0, 0],
      [2, 0],
      [4, 1],
      [5, 2],
      [6, 3],
    ])
  },
)

t.test('a deletion may be missing with all of its key, and not without', async (t) => {
  const source = await table(t, [set('a', 1), set('b', 1), set('a', null), set('b', 2)])
  t.match(await compare(source, await table(t, [set('b', 2)])), { places: new Map() })
  t.match(await compare(source, await table(t, [set('a', 1), set('b', 2)])), {
    problem: /last record of the key "a"/,
  })
})

t.test('nothing else may be otherwise', async (t) => {
  const source = await table(t, [set('a', 1), set('b', 1), set('a', 2), set('b', 2)])
  const cases: [RecordToAppend[], RegExp][] = [
    [[set('a', 1), set('b', 1), set('a', 2)], /"b" is not there/],
    [[set('a', 2), set('b', 9)], /not from here/],
    [[set('b', 2), set('a', 2)], /another order/],
    [[set('a', 2), { ...set('b', 2), timestamp: 5 }], /not from here/],
    [[set('a', 2), { ...set('b', 2), headers: [['x', Buffer.of(1)]] }], /not from here/],
    [[], /is not there/],
  ]
  for (const [there, problem] of cases) {
    t.match(await compare(source, await table(t, there)), { problem })
  }
})

t.test('keys that do not fit into memory are compared in several passes', async (t) => {
  const records = Array.from({ length: 2_000 }, (_, i) => set(`key-${i % 1_000}`, i))
  const source = await table(t, records)
  const rest = records.slice(1_000)
  // Ten of them at a time.
  const keyBytes = 3_000
  t.ok('places' in (await compare(source, await table(t, rest), { keyBytes })))
  const without = rest.filter((_, i) => i !== 777)
  t.match(await compare(source, await table(t, without), { keyBytes }), {
    problem: 'the last record of the key "key-777" is not there',
  })
})

t.test('a stream that has expired here since it was copied is right', async (t) => {
  const source = await inProcess(t)
  await fill(source.log)
  const target = createMemoryLog()
  t.teardown(() => target[Symbol.asyncDispose]())
  await t.rejects(moveUntilVerifying(source.log, target), { message: 'stopped' })
  await source.expire('clicks', 3, { retentionBytes: 10_000 })
  const expected = await contentOf(source.log)
  await move(source.log, target)
  const found = await contentOf(target)
  t.strictSame(found['count in clicks/3'], expected['count in clicks/3'])
  t.equal(found['clicks/3']?.length, 75)
  t.not(expected['clicks/3']?.length, 75)
})

t.test('any other record has another checksum', async (t) => {
  const first = {
    topic: 'count-table',
    partition: 0,
    key: Buffer.from('ab'),
    value: Buffer.from('c'),
    timestamp: 1,
    headers: [['h', Buffer.from('v')]],
  } satisfies RecordToAppend
  const others: RecordToAppend[] = [
    { ...first, key: Buffer.from('a'), value: Buffer.from('bc') },
    { ...first, key: null },
    { ...first, value: null },
    { ...first, key: Buffer.alloc(0) },
    { ...first, value: Buffer.alloc(0) },
    { ...first, timestamp: 2 },
    { ...first, headers: [] },
    { ...first, headers: [['hv', Buffer.alloc(0)]] },
    { ...first, headers: [['h', Buffer.from('w')]] },
    { ...first, value: Buffer.alloc(100_000, 'c') },
    { ...first, value: Buffer.concat([Buffer.alloc(99_999, 'c'), Buffer.from('d')]) },
  ]
  const log = await table(t, [first, ...others, first])
  const records = log.records('count-table', 0)
  const sums = records.map((record) => recordChecksum(record, 'table'))
  t.equal(new Set(sums).size, others.length + 1)
  t.equal(sums.at(0), sums.at(-1))
  const digestOf = (list: typeof records): string => {
    const digest = new RecordDigest('table')
    for (const record of list) digest.add(record)
    return digest.end()
  }
  t.not(digestOf(records), digestOf([...records].reverse().slice(1)))
  t.equal(digestOf(records), digestOf([...records]))
})
t.end()
