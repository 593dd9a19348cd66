// Retention of streams in the embedded log: what goes, what stays, and what readers and positions find afterwards.
import t, { type Test } from 'tap'
import type { RecordToAppend } from '#host/log/log.js'
import { testFolder } from '../../support/folder.js'
import { until } from '../../support/until.js'
import { from, record, take, values } from './conformance.js'
import {
  type InProcessLog,
  type InProcessOptions,
  killedAt,
  openInProcess,
  watched,
} from './in-process.js'

const stream = { name: 'clicks', kind: 'stream', partitions: 1 } as const
const start = 1_700_000_000_000

async function open(t: Test, options: InProcessOptions): Promise<InProcessLog> {
  const own = await openInProcess(options)
  t.teardown(() => own[Symbol.asyncDispose]())
  return own
}

const click = (value: string, more: Partial<RecordToAppend> = {}) =>
  record('clicks', 0, value, { timestamp: start, ...more })

async function range({ log }: InProcessLog): Promise<[oldest: number, end: number]> {
  const info = (await log.describe(['clicks'])).get('clicks')?.partitions[0]
  return [info?.oldest ?? -1, info?.stableEnd ?? -1]
}

const entries = async ({ database }: InProcessLog): Promise<number> =>
  (await database.keys({ gte: Buffer.of(0x10), lt: Buffer.of(0x11) }).all()).length

void t.test('what is too old goes, oldest first and in whole entries', async (t) => {
  let time = start
  const path = testFolder(t)
  const own = await openInProcess({ path, now: () => time })
  const { log } = own
  await log.ensure([stream])
  await log.append([click('a'), click('b')])
  time += 1000
  await log.append([click('c', { timestamp: time })])
  await own.expire('clicks', 0, { retentionMs: 1000 })
  t.same(await range(own), [0, 3])
  time += 1
  t.ok((await own.expire('clicks', 0, { retentionMs: 1000 })) > 0)
  t.same(await range(own), [2, 3])
  t.equal(await entries(own), 1)
  t.same(values(await take(log, from('clicks', 0, 2), 1)), ['c'])
  await using reader = log.reader()
  reader.assign([from('clicks', 0, 1)])
  const gone = { code: 'OFFSET_OUT_OF_RANGE', stream: 'clicks', partition: 0, offset: 1 }
  await t.rejects(reader.next(), gone)
  t.same(await log.offsetAt('clicks', 0), [from('clicks', 0, 2)])
  await own[Symbol.asyncDispose]()
  const again = await open(t, { path })
  t.same(await range(again), [2, 3], 'after a restart, too')
})

void t.test('a partition of which all has gone goes on where it ended', async (t) => {
  let time = start
  const path = testFolder(t)
  const own = await openInProcess({ path, now: () => time })
  await own.log.ensure([stream])
  await own.log.append([click('a'), click('b'), click('c')])
  await using waiting = own.log.reader()
  waiting.assign([from('clicks', 0, 3)])
  const next = waiting.next()
  time += 5000
  await own.expire('clicks', 0, { retentionMs: 1 })
  t.same([await range(own), await entries(own)], [[3, 3], 0])
  t.same(await own.log.append([click('d')]), [3])
  t.same(values((await next)[0]?.records ?? []), ['d'], 'a reader at the end notices nothing')
  time += 5000
  await own.expire('clicks', 0, { retentionMs: 1 })
  await own[Symbol.asyncDispose]()
  const again = await open(t, { path })
  t.same(await range(again), [4, 4])
  t.same(await again.log.append([click('e')]), [4], 'and no offset is given twice')
  t.same(values(await take(again.log, from('clicks', 0, 4), 1)), ['e'])
})

void t.test('age counts from when it was written, whatever its timestamp', async (t) => {
  let time = start
  const own = await open(t, { path: testFolder(t), now: () => time })
  await own.log.ensure([stream])
  await own.log.append([click('from the future', { timestamp: start + 9e12 })])
  time += 1000
  await own.log.append([click('long ago', { timestamp: 0 })])
  await own.expire('clicks', 0, { retentionMs: 1000 })
  t.same(await range(own), [0, 2])
  time += 1
  await own.expire('clicks', 0, { retentionMs: 1000 })
  t.same(await range(own), [1, 2])
})

void t.test('a partition keeps at least its bytes, and not much more', async (t) => {
  const own = await open(t, { path: testFolder(t) })
  await own.log.ensure([stream])
  for (let i = 0; i < 100; i++) await own.log.append([click(`${i}`.padStart(1000, '.'))])
  await own.expire('clicks', 0, { retentionBytes: 20_000 })
  const [oldest, end] = await range(own)
  const kept = end - oldest
  t.ok(kept * 1000 >= 19_000 && kept * 1000 <= 21_000, `${kept} records of 1,000 bytes`)
  t.equal(await entries(own), kept)
  await own.expire('clicks', 0, {})
  t.same(await range(own), [oldest, end], 'and without limits all of it')
})

void t.test('a damaged entry goes with those behind it', async (t) => {
  let time = start
  const path = testFolder(t)
  const own = await openInProcess({ path, now: () => time })
  await own.log.ensure([stream])
  for (let i = 0; i < 3; i++) await own.log.append([click(`${i}`)])
  const [found] = await own.database.iterator({ gte: Buffer.of(0x10), limit: 1 }).all()
  await own.database.put(found?.[0] ?? Buffer.alloc(0), Buffer.alloc(60))
  time += 1000
  await own.log.append([click('new', { timestamp: time })])
  await own.expire('clicks', 0, { retentionMs: 999 })
  t.same(await range(own), [3, 4])
  t.equal(await entries(own), 1)
  await own[Symbol.asyncDispose]()
})

void t.test('a kill at any write leaves a stream that ends where it did', async (t) => {
  const folder = testFolder(t)
  let isWhole = false
  let kills = 0
  for (let nth = 1; !isWhole; nth++) {
    const path = `${folder}/${nth}`
    let time = start
    const intact = await openInProcess({ path, now: () => time })
    await intact.log.ensure([stream])
    // More entries than one write deletes.
    const appends = Array.from({ length: 300 }, (_, i) => click(`${i}`.padStart(9000, '.')))
    for (const one of appends) await intact.log.append([one])
    await intact[Symbol.asyncDispose]()
    time += 1000
    const dying = await openInProcess({ path, now: () => time, wrap: killedAt(nth + 1) })
    isWhole = await dying.expire('clicks', 0, { retentionMs: 1 }).then(
      () => true,
      () => false,
    )
    if (!isWhole) kills++
    await dying[Symbol.asyncDispose]()
    const again = await open(t, { path, now: () => time })
    const [oldest, end] = await range(again)
    t.equal(end, 300)
    t.equal(
      oldest + (await entries(again)),
      300,
      `killed at write ${nth}: no hole from ${oldest} on`,
    )
    if (oldest < 300) {
      const rest = await take(again.log, from('clicks', 0, oldest), 300 - oldest)
      t.equal(rest.length, 300 - oldest)
    }
    t.same(await again.log.append([click('new')]), [300])
  }
  t.ok(kills >= 2, `there are several writes (${kills})`)
})

void t.test('each stream has its own retention, else that of the log', async (t) => {
  let time = start
  const own = await open(t, {
    path: testFolder(t),
    now: () => time,
    maintenance: { intervalMs: 2, retentionMs: 1000 },
  })
  const names = ['short', 'clicks', 'ever'] as const
  const specs = [{ retentionMs: 10 }, {}, { retentionMs: -1 }]
  await own.log.ensure(specs.map((more, i) => ({ ...stream, ...more, name: names[i] ?? '' })))
  const table = { name: 'counts', kind: 'table', partitions: 1 } as const
  await own.log.ensure([table])
  await own.log.append(
    [...names, 'counts'].map((name) => record(name, 0, 'x', { timestamp: time })),
  )
  const oldest = async (): Promise<(number | undefined)[]> => {
    const all = await own.log.describe([...names, 'counts'])
    return [...names, 'counts'].map((name) => all.get(name)?.partitions[0]?.oldest)
  }
  const reach = (expected: number[]) =>
    until(`the oldest offsets are ${expected}`, async () => {
      return (await oldest()).join() === expected.join()
    })
  time += 11
  await reach([1, 0, 0, 0])
  time += 1000
  await reach([1, 1, 0, 0])
  t.same(own.problems, [])
})

void t.test(
  'every write waits for the disk when it is told to, those of maintenance too',
  async (t) => {
    for (const sync of [true, false]) {
      const seen: unknown[] = []
      let time = start
      const own = await openInProcess({
        path: `${testFolder(t)}/${sync}`,
        sync,
        now: () => time,
        wrap: (database) =>
          watched(database, (method, args) => {
            if (method === 'batch') seen.push(args[1])
          }),
      })
      const steps: Record<string, () => Promise<unknown>> = {
        ensure: () => own.log.ensure([stream, { name: 'counts', kind: 'table', partitions: 1 }]),
        append: () => own.log.append([click('a')]),
        commit: async () => {
          const writer = await own.log.openWriter('g', 0)
          const records = [1, 2].map(() => record('counts', 0, 'x'.repeat(200_000)))
          return writer.commit({ records, positions: [from('clicks', 0, 1)] })
        },
        'a pass': () => own.compact('counts', 0),
        retention: async () => {
          time += 1000
          await own.expire('clicks', 0, { retentionMs: 1 })
        },
        remove: () => own.log.remove(['clicks']),
      }
      t.same(seen, [{ sync }], 'the new epoch')
      for (const [what, step] of Object.entries(steps)) {
        seen.length = 0
        await step()
        t.ok(seen.length > 0, `${what} writes`)
        for (const options of seen) t.same(options, { sync }, what)
      }
      await own[Symbol.asyncDispose]()
    }
  },
)
