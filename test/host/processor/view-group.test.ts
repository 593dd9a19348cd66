// Views: what their table's topic has, in order, never older than it was, and never read while it is not what the topic says.
import { int64, string } from 'millrace'
import t from 'tap'
import { HostError } from '#host/errors.js'
import type { HaltReason } from '#host/processor/group.js'
import type { RunnableView } from '#host/processor/view-program.js'
import { until } from '../../support/until.js'
import { changed } from './changed-store.js'
import { partitions } from './harness.js'
import { at, numbers, running, topic, ViewHarness } from './view-harness.js'

t.test('it has what the topic has, however the log behaves', async (t) => {
  for (let seed = 1; seed <= 12; seed += 1) {
    const h = await running(seed, { gaps: 0.2, markers: 0.2, emptyBatches: 0.2, delays: 0.3 })
    for (let n = 0; n < 40; n += 1) await h.put(`k${n % 20}`, n === 33 ? null : `v${n}`)
    await h.start()
    t.equal(h.get('k5'), 'v25')
    t.equal(h.get('k13'), undefined)
    await h.put('k5', 'later')
    await h.settled()
    t.equal(h.get('k5'), 'later')
    await h.stop(seed % 2 === 0 ? 'crash' : 'drain')
    await h.put('k5', 'meanwhile')
    await h.start()
    t.equal(h.get('k5'), 'meanwhile')
    t.same(h.waits.at(-1), [])
    await h.stop()
    t.same([...h.halts, ...h.warnings], [])
  }
})

t.test('a topic that is made anew is copied anew, and it says that it recovers', async (t) => {
  for (const isLive of [true, false]) {
    const h = await running()
    await h.put('a', 'old')
    await h.put('b', 'old')
    await h.start()
    if (!isLive) await h.stop()
    await h.log.remove([topic])
    await h.prepare()
    await h.put('a', 'new')
    if (!isLive) await h.start()
    await until('it is made anew', () => h.warnings.some((what) => what.includes('made anew')))
    await until('it runs', () =>
      numbers.every(
        (n) => h.states.lastIndexOf(`running ${n}`) > h.states.lastIndexOf(`recovering ${n}`),
      ),
    )
    await h.settled()
    t.equal(h.get('a'), 'new')
    t.equal(h.get('b'), undefined, 'what the former topic had is gone')
    await h.stop()
  }
})

t.test(
  'other partitions than it was made for: it says once that it has to be made anew',
  async (t) => {
    const h = await running()
    await h.start()
    await h.log.remove([topic])
    await h.prepare(partitions + 2)
    await h.put('a', 'x')
    await until('it says so', () => h.states.includes('outdated'))
    await h.stop('crash')
    t.equal(h.states.filter((state) => state === 'outdated').length, 1)
    t.same(h.halts, [])
  },
)

t.test('cut off it says so, and runs again only when it has all that came meanwhile', async (t) => {
  const h = await running()
  let isCut = false
  h.failing = () => (isCut ? new HostError('BROKER_UNAVAILABLE', 'no broker answers') : undefined)
  await h.put('a', 'old')
  await h.start()
  t.same(h.waits.at(-1), [])
  isCut = true
  const found: unknown[] = []
  h.waiting = (whatFor) => void found.push([whatFor.length, h.get('a'), h.get('b')])
  await h.put('a', 'new')
  await h.put('b', 'new')
  await until('it says so', () => h.waits.at(-1)?.some((what) => what.includes('cut off')))
  t.match(h.waits.at(-1), [/^the log, from which it is cut off \(no broker answers\)/])
  t.equal(h.get('a'), 'old', 'what it has is there')
  isCut = false
  await until('it has caught up', () => h.waits.at(-1)?.length === 0)
  t.same(found, [
    [1, 'old', undefined],
    [0, 'new', 'new'],
  ])
  t.equal(h.states.includes('recovering 0', partitions), false, 'nothing was made anew')
  await h.stop()
})

t.test('a key that is evicted is gone until its next record', async (t) => {
  const h = await running()
  await h.put('a', 'first')
  await h.put('b', 'first')
  await h.start()
  const { partition, key } = at('a')
  await h.group.evict(partition, key)
  t.equal(h.get('a'), undefined)
  await h.stop()
  await h.start()
  t.equal(h.get('a'), undefined, 'also over a restart')
  t.equal(h.get('b'), 'first')
  await h.put('a', 'second')
  await h.settled()
  t.equal(h.get('a'), 'second')
  await h.stop()
})

t.test('paused it stays as it is, over swaps, too', async (t) => {
  const h = await running()
  await h.put('a', 'old')
  await h.start()
  await h.group.pause()
  await h.put('a', 'new')
  await h.group.swap(h.program())
  await h.put('a', 'newer')
  await h.put('b', 'new')
  // Others that follow the topic have it by then.
  const other = new ViewHarness()
  Object.assign(other, { log: h.log })
  await other.start()
  await other.settled()
  t.same([other.get('a'), h.get('a'), h.get('b')], ['newer', 'old', undefined])
  await other.stop()
  h.group.resume()
  await h.settled()
  t.equal(h.get('a'), 'newer')
  t.equal(h.get('b'), 'new')
  await h.stop()
})

t.test('an update that throws halts it at that record, with all before it stored', async (t) => {
  const h = await running()
  const strict: RunnableView = {
    codec: string,
    stored: int64,
    update(ctx, value) {
      ctx.log.info(`sees ${value}`)
      if (value === 'two') throw new RangeError('not two')
      ctx.set(BigInt(String(value).length))
    },
  }
  await h.put('a', 'one')
  await h.start(strict)
  const { partition } = at('a')
  await h.log.append(
    ['three', 'two', 'four'].map((value, n) => {
      return {
        topic,
        partition,
        key: Buffer.from(`n${n}`),
        value: Buffer.from(value),
        timestamp: 1,
      }
    }),
  )
  await until('it halts', () => h.halts.length > 0)
  t.match(h.halts[0], { stream: topic, partition, offset: 2, key: 'n1', version: 'v1' })
  t.match(h.halts[0]?.error, { name: 'RangeError', message: 'not two' })
  const stored = () =>
    ['n0', 'n1', 'n2'].map((key) => h.store.partition(partition).get(Buffer.from(key))?.toString())
  t.same(stored(), ['5', undefined, undefined])
  h.group.resume()
  await until('it halts at it again', () => h.halts.length > 1)
  const place = ({ error: _, ...rest }: HaltReason) => rest
  t.same(h.halts.map(place)[1], h.halts.map(place)[0])
  await h.group.swap(h.program({ ...strict, update: (ctx) => ctx.set(7) }))
  await h.settled()
  t.same(stored(), ['5', '7', '7'], 'and what was stored before stays')
  t.equal(h.get('a'), '3')
  t.same(h.lines.slice(0, 3), ['sees one', 'sees three', 'sees two'])
  await h.stop()
})

t.test('a store that refuses is no fault of the update', async (t) => {
  const h = await running()
  let isRefusing = false
  h.store = changed(h.store, {
    partition: (real) => ({
      get: (key) => {
        if (isRefusing) throw new HostError('STORE_FAILED', 'it cannot be read')
        return real.get(key)
      },
    }),
  })
  await h.start({
    codec: string,
    update(ctx, value) {
      try {
        ctx.get()
      } catch {
        // It makes nothing of it.
      }
      ctx.set(value)
    },
  })
  isRefusing = true
  await h.put('a', 'x')
  await until('it is told', () => h.states.some((state) => state.startsWith('detached')))
  t.same(h.halts, [])
  isRefusing = false
  t.equal(h.get('a'), undefined)
  await h.stop('crash')
})
