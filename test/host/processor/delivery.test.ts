// When outputs leave: with the flush, or ahead of it (`delivery: 'at-least-once'`).
import { json } from 'millrace'
import t from 'tap'
import type { RunnableDefinition, RunOptions } from '#host/processor/program.js'
import { until } from '../../support/until.js'
import { edges, fastClock, type Harness, harness, jsonOf, options } from './harness.js'

const atLeastOnce: RunOptions = { ...options, delivery: 'at-least-once' }

/** Counts by key, and emits each count. */
const counting: RunnableDefinition = {
  inputs: { numbers: json<number>() },
  outputs: { sums: json<number>() },
  table: json<number>(),
  on: {
    numbers(ctx) {
      const count = Number(ctx.get() ?? 0) + 1
      ctx.set(count)
      ctx.emit('sums', ctx.key, count)
    },
  },
}

const sums = (h: Harness, key: string): unknown[] =>
  h
    .records('sums')
    .filter((record) => record.keyText() === key)
    .map(jsonOf)

t.test('outputs leave while no flush succeeds, and nothing else does', async (t) => {
  for (const delivery of ['at-least-once', 'exactly-once'] as const) {
    const h = await harness({
      definition: counting,
      options: { ...options, delivery },
      faults: { failed: 1 },
      clock: fastClock,
    })
    for (let n = 0; n < 3; n += 1) await h.emit('numbers', 'a', n)
    await h.start()
    await until('flushes have failed', () => h.refused >= 5)
    t.same(sums(h, 'a'), delivery === 'at-least-once' ? [1, 2, 3] : [], delivery)
    t.equal(h.value('a'), undefined)
    t.equal(h.changelog().size, 0)
    await h.end()
  }
})

t.test('no position moves while an output is refused', async (t) => {
  const h = await harness({ definition: counting, options: atLeastOnce, clock: fastClock })
  await h.emit('numbers', 'a', 1)
  const append = h.log.append.bind(h.log)
  let refusals = 0
  h.log.append = async (...given) => {
    if (refusals === 0) return await append(...given)
    refusals += 1
    throw new Error('away')
  }
  refusals = 1
  await h.start()
  await until('it has tried often', () => refusals > 10)
  t.equal(h.changelog().size, 0)
  t.ok(h.warnings.some((warning) => warning.includes('the log refused outputs')))
  refusals = 0
  await h.settled()
  t.same(sums(h, 'a'), [1])
  t.equal(h.value('a'), 1)
})

t.test(
  'a clean stop while an output is refused loses nothing of what came behind it',
  async (t) => {
    for (const delivery of ['at-least-once', 'exactly-once'] as const) {
      const h = await harness({
        definition: counting,
        options: { ...options, delivery, concurrency: 8 },
        clock: fastClock,
      })
      const keys = Array.from({ length: 12 }, (_, n) => `k${n}`)
      for (const key of keys) await h.emit('numbers', key, 1)
      const append = h.log.append.bind(h.log)
      let isRefusing = delivery === 'at-least-once'
      let refusals = 0
      h.log.append = async (records, ...more) => {
        if (!isRefusing || !records.some(({ key }) => key?.toString() === 'k0')) {
          return await append(records, ...more)
        }
        refusals += 1
        throw new Error('away')
      }
      await h.start()
      if (isRefusing) await until('it was refused', () => refusals > 3)
      // As the host stops a thread: what does not come to its end in time is given up.
      if (isRefusing) {
        void h.group.drain()
        await h.crash()
      } else await h.drain()
      isRefusing = false
      await h.start()
      await h.settled()
      for (const key of keys) {
        t.ok(sums(h, key).length >= 1, `${key}, ${delivery}`)
        t.equal(h.value(key), 1)
      }
      await h.end()
    }
  },
)

t.test('a crash before the flush repeats outputs, and counts once', async (t) => {
  const h = await harness({
    definition: counting,
    options: atLeastOnce,
    flush: { intervalMs: 3_600_000, maxIntervalMs: 3_600_000 },
    clock: { ...fastClock, after: (ms, callback) => (ms > 1_000 ? () => {} : fastClock.after(ms, callback)) }, // biome-ignore format: one idea
    faults: { failed: 1 },
  })
  for (let n = 0; n < 4; n += 1) await h.emit('numbers', 'a', n)
  await h.start()
  await until('all have left', () => sums(h, 'a').length === 4)
  await h.kill()
  t.equal(h.changelog().size, 0)
  await h.start()
  await until('all have left again', () => sums(h, 'a').length === 8)
  t.same(sums(h, 'a'), [1, 2, 3, 4, 1, 2, 3, 4])
})

t.test('the loop moves with the table, not with the outputs', async (t) => {
  const looping = {
    ...edges,
    inputs: [...edges.inputs, { stream: 'sum-loop', topic: 'sum-loop' }],
    loop: { topic: 'sum-loop' },
  }
  const definition: RunnableDefinition = {
    ...counting,
    loop: json<number>(),
    on: {
      numbers(ctx, value) {
        ctx.emit('sums', ctx.key, value)
        ctx.loopback('b', value)
      },
    },
    onLoop(ctx, value) {
      ctx.set(value)
      ctx.emit('sums', 'from the loop', value)
    },
  }
  const stuck = await harness({
    definition,
    edges: looping,
    options: atLeastOnce,
    faults: { failed: 1 },
    clock: fastClock,
  })
  await stuck.emit('numbers', 'a', 7)
  await stuck.start()
  await until('flushes have failed', () => stuck.refused >= 5)
  t.same(sums(stuck, 'a'), [7])
  t.same(stuck.records('sum-loop'), [])

  const free = await harness({ definition, edges: looping, options: atLeastOnce })
  await free.emit('numbers', 'a', 7)
  await free.start()
  await free.settled()
  t.equal(free.records('sum-loop').length, 1)
  t.same(sums(free, 'from the loop'), [7])
  t.equal(free.value('b'), 7)
})

t.test(
  'nothing leaves before it is acknowledged, nor what lies behind it in its key',
  async (t) => {
    const acks: ((error?: unknown) => void)[] = []
    const h = await harness({
      definition: {
        ...counting,
        on: {
          numbers(ctx, value) {
            if (value === 0) acks.push(ctx.defer())
            const count = Number(ctx.get() ?? 0) + 1
            ctx.set(count)
            ctx.emit('sums', ctx.key, count)
          },
        },
      },
      options: { ...atLeastOnce, concurrency: 8, retry: { attempts: 2, backoffMs: 1 } },
    })
    const at = { partition: 0 }
    for (const value of [0, 1, 2]) await h.emit('numbers', 'a', value, at)
    await h.emit('numbers', 'b', 1, at)
    await h.start()
    await until('the other key has left', () => sums(h, 'b').length === 1)
    t.same(sums(h, 'a'), [])
    t.equal(h.changelog().size, 0, 'nothing counts: the first record does not')
    acks[0]?.(new Error('refused'))
    await until('it is tried again', () => acks.length === 2)
    t.same(sums(h, 'a'), [], 'what was refused leaves no trace')
    acks[1]?.()
    await h.settled()
    t.same(sums(h, 'a'), [1, 2, 3])
    t.same(sums(h, 'b'), [1])
  },
)

t.test('a swap to the other delivery neither loses nor repeats', async (t) => {
  const h = await harness({ definition: counting, options: atLeastOnce })
  await h.start()
  for (let round = 0; round < 6; round += 1) {
    for (let n = 0; n < 5; n += 1) await h.emit('numbers', 'a', n)
    await h.group.swap(h.program(counting, round % 2 === 0 ? options : atLeastOnce))
  }
  await h.settled()
  t.same(
    sums(h, 'a'),
    Array.from({ length: 30 }, (_, n) => n + 1),
  )
  t.equal(h.value('a'), 30)
})

t.test('a swap to the other delivery behind a record that is refused, neither', async (t) => {
  for (const [from, to] of [
    ['exactly-once', 'at-least-once'],
    ['at-least-once', 'exactly-once'],
  ] as const) {
    let isDefect = true
    const definition: RunnableDefinition = {
      ...counting,
      on: {
        async numbers(ctx) {
          if (ctx.key === 'a' && isDefect) {
            await Promise.resolve()
            throw new Error('defect')
          }
          ctx.set(1)
          ctx.emit('sums', ctx.key, 1)
        },
      },
    }
    const some = { ...options, concurrency: 4, retry: { attempts: 1, backoffMs: 1 } }
    const h = await harness({ definition, options: { ...some, delivery: from } })
    for (const key of ['a', 'b', 'c']) await h.emit('numbers', key, 1, { partition: 0 })
    await h.start()
    await until('it has halted', () => h.halts.length === 1)
    isDefect = false
    await h.group.swap(h.program(definition, { ...some, delivery: to }))
    await h.settled()
    for (const key of ['a', 'b', 'c']) t.same(sums(h, key), [1], `${from} to ${to}: ${key}`)
    await h.end()
  }
})

t.test('what goes to a stream that the function reads itself moves with the table', async (t) => {
  const own = { ...edges, outputs: [...edges.outputs, { stream: 'numbers', topic: 'numbers', partitions: 3, hasher: 'murmur2' as const }] } // biome-ignore format: one idea
  const h = await harness({
    definition: {
      ...counting,
      outputs: { sums: json(), numbers: json() },
      on: {
        numbers(ctx, value) {
          if (Number(value) > 0) ctx.emit('numbers', ctx.key, Number(value) - 1)
          ctx.emit('sums', ctx.key, value)
        },
      },
    },
    edges: own,
    options: atLeastOnce,
    faults: { failed: 1 },
    clock: fastClock,
  })
  await h.emit('numbers', 'a', 3)
  await h.start()
  await until('flushes have failed', () => h.refused >= 5)
  t.same(sums(h, 'a'), [3])
  t.equal(h.records('numbers').length, 1)
})

t.test('an output that the log never takes halts the function at its record', async (t) => {
  const h = await harness({ definition: counting, options: atLeastOnce })
  await h.start()
  await h.emit('numbers', 'a', 1)
  await h.settled()
  await h.log.remove(['sums'])
  await h.emit('numbers', 'a', 2)
  await until('it has halted', () => h.halts.length === 1)
  t.match(h.halts[0], { error: { code: 'UNKNOWN_TOPIC' } })
  t.equal(h.changelog().get('a'), 1)
  await h.log.ensure([{ name: 'sums', kind: 'stream', partitions: 3 }])
  h.group.resume()
  await h.settled()
  t.same(sums(h, 'a'), [2])
  t.equal(h.value('a'), 2)
})

t.test('what waits to leave is limited as what waits for a flush is', async (t) => {
  const h = await harness({
    definition: counting,
    options: atLeastOnce,
    flush: { maxBytes: 1_000 },
    clock: fastClock,
  })
  for (let n = 0; n < 200; n += 1) await h.emit('numbers', 'a', n)
  let isAway = true
  let tries = 0
  let most = 0
  const append = h.log.append.bind(h.log)
  h.log.append = async (records, ...more) => {
    if (!isAway) {
      most = Math.max(most, records.length)
      return await append(records, ...more)
    }
    tries += 1
    throw new Error('away')
  }
  await h.start()
  await until('it has tried often', () => tries > 10)
  isAway = false
  await h.settled()
  t.ok(most > 0 && most < 50, `${most} at once, of 200`)
  t.same(
    sums(h, 'a'),
    Array.from({ length: 200 }, (_, n) => n + 1),
  )
})
