// The memory log: what every log does, with and without faults, and what its tests can ask of it.

import t, { type Test } from 'tap'
import { createMemoryLog, type MemoryFaults, type MemoryLog } from '#host/log/memory/log.js'
import { from, logConformance, record, take, values } from './conformance.js'

const create = (faults: MemoryFaults, seed: number) => async (t: Test) => {
  const log = createMemoryLog({ seed, faults })
  t.teardown(async () => log[Symbol.asyncDispose]())
  return {
    log,
    failNext: log.failNext.bind(log),
    failRead: log.failRead.bind(log),
    trim: log.trim.bind(log),
  }
}

const all: MemoryFaults = {
  gaps: 0.3,
  markers: 0.7,
  emptyBatches: 0.3,
  openTransactions: 0.3,
  delays: 0.5,
}

logConformance(t, 'memory', create({}, 1))
for (const seed of [1, 2, 3, 4, 5]) logConformance(t, `memory, faults ${seed}`, create(all, seed))

async function memory(
  t: Test,
  options?: Parameters<typeof createMemoryLog>[0],
): Promise<MemoryLog> {
  const log = createMemoryLog(options)
  t.teardown(async () => log[Symbol.asyncDispose]())
  await log.ensure([{ name: 'clicks', kind: 'stream', partitions: 2, retentionMs: 1000 }])
  return log
}

void t.test('the same seed and calls leave the same log', async (t) => {
  const run = async (seed: number) => {
    const log = await memory(t, { seed, faults: { ...all, failed: 0.2, unknown: 0.2 } })
    const outcomes: string[] = []
    for (let i = 0; i < 40; i++) {
      const writer = await log.openWriter('g', 0)
      const records = [record('clicks', i % 2, `${i}`)]
      outcomes.push((await writer.commit({ records, positions: [] })).kind)
    }
    await log.quiet()
    return { outcomes, records: [log.records('clicks', 0), log.records('clicks', 1)] }
  }
  const first = await run(7)
  t.same(await run(7), first)
  t.notSame(await run(8), first)
  t.same(new Set(first.outcomes), new Set(['committed', 'failed', 'unknown']))
})

void t.test('faults leave gaps, hold back the stable end, and let it go', async (t) => {
  const log = await memory(t, { seed: 3, faults: { ...all, openTransactions: 1, delays: 0 } })
  const offsets: number[] = []
  for (let i = 0; i < 20; i++) offsets.push(...(await log.append([record('clicks', 0, `${i}`)])))
  const info = (await log.describe(['clicks'])).get('clicks')
  const last = offsets.at(-1) ?? 0
  t.ok((info?.partitions[0]?.stableEnd ?? last) < last, 'what is appended is not decided yet')
  t.ok(last > 20, 'offsets have gaps')
  await log.quiet()
  const after = (await log.describe(['clicks'])).get('clicks')
  t.ok((after?.partitions[0]?.stableEnd ?? 0) > last)
  t.equal((await take(log, from('clicks', 0, 0), 20)).length, 20)
})

void t.test('markers take offsets behind commits and atomic appends only', async (t) => {
  const log = await memory(t, { faults: { markers: 1 } })
  const one = [record('clicks', 0, 'x')]
  t.same(await log.append(one), [0])
  t.same(await log.append(one, { atomic: true }), [1])
  t.same(await log.append(one), [3])
  const writer = await log.openWriter('g', 0)
  t.same(await writer.commit({ records: one, positions: [] }), {
    kind: 'committed',
    next: new Map([['clicks/0', 5]]),
    first: new Map([['clicks/0', 4]]),
    leaderEpochs: new Map([['clicks/0', 1]]),
  })
  t.same(await log.append(one), [6])
})

void t.test('commits that are tried again as the port says happen once', async (t) => {
  for (const seed of [1, 2, 3]) {
    const log = await memory(t, { seed, faults: { ...all, failed: 0.3, unknown: 0.3 } })
    let writer = await log.openWriter('g', 0)
    const kinds = new Set<string>()
    for (let done = 0; done < 60; ) {
      const outcome = await writer.commit({
        records: [record('clicks', 0, `${done}`)],
        positions: [from('clicks', 0, done + 1)],
      })
      kinds.add(outcome.kind)
      if (outcome.kind === 'committed') done++
      if (outcome.kind !== 'unknown') continue
      writer = await log.openWriter('g', 0)
      done = writer.positions[0]?.offset ?? 0
    }
    t.equal(kinds.size, 3)
    t.same(
      values(log.records('clicks', 0)),
      Array.from({ length: 60 }, (_, i) => `${i}`),
    )
  }
})

void t.test('what a truncation cuts off is seen by epoch', async (t) => {
  const log = await memory(t)
  const offsets = await log.append(['a', 'b', 'c'].map((value) => record('clicks', 0, value)))
  const cut = offsets[1] ?? -1
  log.truncate('clicks', 0, cut)
  await log.append([record('clicks', 0, 'd')])
  t.same(values(log.records('clicks', 0)), ['a', 'd'])
  t.same(await log.endOfEpoch({ topic: 'clicks', partition: 0 }, 1), { leaderEpoch: 1, end: cut })
  const info = (await log.describe(['clicks'])).get('clicks')
  t.same(
    info?.partitions.map(({ leaderEpoch }) => leaderEpoch),
    [2, 1],
  )
})

void t.test('streams expire by the clock that is given', async (t) => {
  let now = 5000
  const log = await memory(t, { clock: () => now })
  await log.append([record('clicks', 0, 'old', { timestamp: 5000 })])
  const [offset] = await log.append([record('clicks', 0, 'new', { timestamp: 5800 })])
  now = 6500
  const info = (await log.describe(['clicks'])).get('clicks')
  t.equal(info?.partitions[0]?.oldest, offset)
  t.same(values(log.records('clicks', 0)), ['new'])
})

void t.test('is not shared between threads', async (t) => {
  const log = await memory(t)
  t.throws(() => log.share(), { code: 'INTERNAL' })
})
