// Several keys at once, and records that are acknowledged later: each key in order, and a flush holds exactly what lies below its positions.
import { json } from 'millrace'
import t from 'tap'
import type { LogRecord } from '#host/log/log.js'
import { Random } from '#host/log/memory/random.js'
import type { Attempt } from '#host/processor/context.js'
import type { RunnableDefinition } from '#host/processor/program.js'
import { createMemoryStore } from '#host/tables/memory.js'
import { roughLog } from '#host/testing/options.js'
import { until } from '../../support/until.js'
import { at, harness, jsonOf } from './harness.js'

type Handle = (ctx: Attempt, value: unknown) => unknown

/** Lists the numbers of each key in its table, and emits each list's length. */
const list = (before: Handle = () => {}): RunnableDefinition => ({
  inputs: { numbers: json<number>() },
  outputs: { sums: json() },
  table: json(),
  on: {
    numbers(ctx, value) {
      const step = () => {
        const known = (ctx.get() ?? []) as unknown[]
        ctx.set([...known, value])
        ctx.emit('sums', ctx.key, { offset: ctx.offset, length: known.length + 1 })
      }
      const waiting = before(ctx, value)
      if (waiting instanceof Promise) return waiting.then(step)
      step()
      return undefined
    },
  },
})

/** Handlers wait here until they are let go. */
class Gate {
  readonly waiting = new Map<unknown, () => void>()
  most = 0

  async wait(value: unknown): Promise<void> {
    await new Promise<void>((resolve) => {
      this.waiting.set(value, resolve)
      this.most = Math.max(this.most, this.waiting.size)
    })
  }

  open(value: unknown): void {
    const go = this.waiting.get(value)
    if (go === undefined) throw new Error(`nobody waits for ${String(value)}`)
    this.waiting.delete(value)
    go()
  }
}

for (const kind of ['concurrency', 'defer', 'both'] as const) {
  t.test(`${kind}: each record counts once and each key in order, whatever happens`, async (t) => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const random = new Random(seed)
      const some = (chance: number) => random.happens(chance)
      const turn = async () => {
        for (let turns = random.upTo(4); turns > 0; turns -= 1) {
          await new Promise<void>((resolve) => setImmediate(resolve))
        }
      }
      const failed = new Set<string>()
      const definition = list((ctx) => {
        // Each record may fail once; what that attempt did leaves no trace.
        const id = `${ctx.partition}/${ctx.offset}`
        const mayFail = !failed.has(id) && some(0.1)
        if (mayFail) failed.add(id)
        if (kind !== 'concurrency' && some(0.5)) {
          const done = ctx.defer()
          const error = mayFail ? new Error('refused later') : undefined
          void turn().then(() => done(error))
        } else if (mayFail) {
          throw new Error('refused')
        }
        return some(0.5) ? turn() : undefined
      })
      const concurrency = kind === 'defer' ? 1 : 1 + random.upTo(4)
      const h = await harness({
        seed,
        faults: roughLog,
        definition,
        options: at(concurrency),
        flush: { maxUnfinished: 2 + random.upTo(20) },
      })
      await h.start()
      for (let step = 0; step < 150; step += 1) {
        await h.emit('numbers', `key-${random.upTo(6)}`, step)
        const fate = random.upTo(100)
        if (fate <= 6) {
          await (some(0.5) ? h.crash() : h.kill())
          if (some(0.3)) h.store = createMemoryStore()
          await h.start()
        } else if (fate <= 11) await h.group.swap(h.program())
        else if (fate <= 14) {
          await h.drain()
          await h.start()
        }
      }
      await h.settled()
      const expected = byKey(h.records('numbers'))
      t.strictSame(h.changelog(), expected, `seed ${seed}: the changelog`)
      for (const [key, values] of expected) {
        t.same(h.value(key), values, `seed ${seed}: the table of ${key}`)
      }
      const lengths = byKey(h.records('sums'), (value) => (value as { length: number }).length)
      const counts = [...expected].map(([key, values]): [string, unknown[]] => [
        key,
        values.map((_, n) => n + 1),
      ])
      t.strictSame(lengths, new Map(counts), `seed ${seed}: the outputs`)
      t.same(h.halts, [], `seed ${seed}: nothing halted`)
      await h.end()
    }
  })
}

t.test('a partition handles as many keys at once as it may, and no key twice', async (t) => {
  const gate = new Gate()
  const running = new Set<unknown>()
  const h = await harness({
    definition: list(async (ctx, value) => {
      t.notOk(running.has(ctx.key), 'the key is not handled already')
      running.add(ctx.key)
      await gate.wait(value)
      running.delete(ctx.key)
    }),
    options: at(8),
  })
  for (let n = 0; n < 20; n += 1) await h.emit('numbers', `k${n % 10}`, n, { partition: 0 })
  await h.start()
  await until('eight run', () => gate.waiting.size === 8)
  // The second record of k0 lies behind those that may run, in its key's turn.
  gate.open(7)
  gate.open(6)
  await until('the next two run', () => gate.waiting.has(8) && gate.waiting.has(9))
  t.notOk(gate.waiting.has(10), 'k0 is still handled')
  gate.open(0)
  await until('its second record runs', () => gate.waiting.has(10))
  while (gate.waiting.size > 0) {
    for (const value of [...gate.waiting.keys()]) gate.open(value)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await h.settled()
  t.equal(gate.most, 8)
  t.same(h.changelog().get('k3'), [3, 13])
})

t.test('what is finished ahead of an unfinished record waits for it', async (t) => {
  const gate = new Gate()
  const h = await harness({ definition: list((_, value) => gate.wait(value)), options: at(4) })
  for (const [key, n] of [
    ['a', 0],
    ['b', 1],
    ['c', 2],
  ] as const) {
    await h.emit('numbers', key, n, { partition: 0 })
  }
  await h.start()
  await until('all run', () => gate.waiting.size === 3)
  const first = h.progress.position(0, 0)
  gate.open(1)
  gate.open(2)
  // Pausing flushes whatever counts, once nothing runs any more.
  const paused = h.group.pause()
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(h.progress.position(0, 0), first)
  t.same(h.records('sums'), [], 'no output is written ahead')
  t.equal(h.changelog().size, 0)
  gate.open(0)
  await paused
  t.same(h.records('sums').map(keyOf).sort(), ['a', 'b', 'c'])
  t.ok(h.progress.position(0, 0) > first)
})

t.test('a crash drops what was finished ahead: it is handled again', async (t) => {
  const gate = new Gate()
  const h = await harness({ definition: list((_, value) => gate.wait(value)), options: at(4) })
  await h.emit('numbers', 'a', 0, { partition: 0 })
  await h.emit('numbers', 'b', 1, { partition: 0 })
  await h.start()
  await until('both run', () => gate.waiting.size === 2)
  gate.open(1)
  await h.kill()
  gate.waiting.clear()
  await h.start()
  await until('both run again', () => gate.waiting.size === 2)
  gate.open(0)
  gate.open(1)
  await h.settled()
  t.same(h.changelog(), new Map([['a', [0]], ['b', [1]]])) // biome-ignore format: one line
})

t.test(
  'a record that fails for good halts at itself; what is beyond goes on behind it',
  async (t) => {
    let isMended = false
    const h = await harness({
      definition: list((_, value) => {
        if (value === 1 && !isMended) throw new Error('not this one')
      }),
      options: at(4, { retry: { attempts: 2, backoffMs: 1 } }),
    })
    await h.emit('numbers', 'a', 0, { partition: 0 })
    await h.emit('numbers', 'b', 1, { partition: 0 })
    await h.emit('numbers', 'b', 2, { partition: 0 })
    await h.emit('numbers', 'c', 3, { partition: 0 })
    await h.start()
    await until('it halts', () => h.halts.length > 0)
    t.match(h.halts, [{ key: 'b', attempts: 2, error: { message: 'not this one' } }])
    t.same([...h.changelog().keys()], ['a'], 'only what lies before it is flushed')
    isMended = true
    h.group.resume()
    await h.settled()
    t.same(h.changelog().get('b'), [1, 2])
    t.same(h.changelog().get('c'), [3])
  },
)

t.test('a deferred record counts when it is acknowledged, not before', async (t) => {
  const acks = new Map<unknown, (error?: unknown) => void>()
  const h = await harness({
    definition: list((ctx, value) => void acks.set(value, ctx.defer())),
  })
  for (let n = 0; n < 3; n += 1) await h.emit('numbers', 'a', n)
  await h.start()
  await until('all are handled', () => acks.size === 3)
  t.equal(h.records('sums').length, 0)
  t.notOk(h.group.isIdle)
  acks.get(1)?.()
  acks.get(2)?.()
  acks.get(2)?.()
  t.equal(h.changelog().size, 0, 'the first one is missing')
  acks.get(0)?.()
  await h.settled()
  t.same(h.changelog().get('a'), [0, 1, 2], 'each saw what the one before had set')
  t.equal(h.records('sums').length, 3)
})

t.test(
  'a refused acknowledgement has the record handled anew, and what its key did since',
  async (t) => {
    const acks: [value: unknown, done: (error?: unknown) => void][] = []
    const h = await harness({
      definition: list((ctx, value) => void acks.push([value, ctx.defer()])),
      options: at(2),
    })
    await h.emit('numbers', 'a', 0, { partition: 0 })
    await h.emit('numbers', 'a', 1, { partition: 0 })
    await h.emit('numbers', 'b', 2, { partition: 0 })
    await h.start()
    await until('all are handled', () => acks.length === 3)
    const [first, second, third] = acks
    first?.[1](new Error('the other side said no'))
    third?.[1]()
    await until('a is handled anew', () => acks.length === 5)
    t.same(acks.slice(3).map(([value]) => value).sort(), [0, 1], 'b is not') // biome-ignore format: one line
    // Of an attempt that was given up: it changes nothing.
    second?.[1]()
    for (const [, done] of acks.slice(3)) done()
    await h.settled()
    t.same(h.changelog(), new Map([['a', [0, 1]], ['b', [2]]])) // biome-ignore format: one line
  },
)

t.test(
  'acknowledgements that are never given: a pause gives them up, onError decides of refused ones',
  async (t) => {
    let isRefusing = false
    let handled = 0
    const h = await harness({
      definition: list((ctx, value) => {
        handled += 1
        const done = ctx.defer()
        if (isRefusing) done(value === 0 ? new Error('never') : undefined)
      }),
      options: at(1, { onError: 'skip', retry: { attempts: 2, backoffMs: 1 } }),
      attemptGraceMs: 1,
    })
    await h.emit('numbers', 'a', 0)
    await h.emit('numbers', 'a', 1)
    await h.start()
    await until('both are handled', () => handled === 2)
    await h.group.pause()
    t.equal(h.changelog().size, 0)
    isRefusing = true
    h.group.resume()
    await h.settled()
    t.match(h.skips, [{ key: 'a', attempts: 2, error: { message: 'never' } }])
    t.same(h.changelog().get('a'), [1])
  },
)

t.test('no more is taken than may be unfinished', async (t) => {
  const acks: (() => void)[] = []
  let handled = 0
  const h = await harness({
    definition: list((ctx) => {
      handled += 1
      acks.push(ctx.defer())
    }),
    flush: { maxUnfinished: 5 },
  })
  for (let n = 0; n < 12; n += 1) await h.emit('numbers', 'a', n)
  await h.start()
  await until('five are handled', () => handled === 5)
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  t.equal(handled, 5)
  acks[0]?.()
  await until('one more is', () => handled === 6)
  for (let n = 1; n < 12; n += 1) {
    await until('it is handled', () => acks[n] !== undefined)
    acks[n]?.()
  }
  await h.settled()
  t.equal((h.changelog().get('a') as unknown[]).length, 12)
})

t.test(
  'memory is bounded: what is taken and not finished counts as what waits for a flush',
  async (t) => {
    const gate = new Gate()
    let handled = 0
    const h = await harness({
      definition: list(async (_, value) => {
        if (value === 'slow') await gate.wait(value)
        else handled += 1
      }),
      options: at(2),
      flush: { maxBytes: 4_000 },
    })
    await h.emit('numbers', 'a', 'slow', { partition: 0 })
    for (let n = 0; n < 40; n += 1)
      await h.emit('numbers', `b${n}`, 'x'.repeat(200), { partition: 0 })
    await h.start()
    await until('the slow one runs', () => gate.waiting.size === 1)
    let seen = -1
    await until('nothing more is taken', async () => {
      const isStill = seen === handled && handled > 0
      seen = handled
      for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
      return isStill
    })
    t.ok(handled < 20, `${handled} of 40 records of 200 bytes were taken`)
    t.equal(h.changelog().size, 0)
    gate.open('slow')
    await h.settled()
    t.equal(h.changelog().size, 41)
  },
)

t.test('defer after the record is done with throws', async (t) => {
  const kept: Attempt[] = []
  const h = await harness({ definition: list((ctx) => void kept.push(ctx)) })
  await h.emit('numbers', 'a', 0)
  await h.start()
  await h.settled()
  t.throws(() => kept[0]?.defer(), { code: 'MISUSED_CONTEXT' })
})

const keyOf = ({ key }: LogRecord): string => String(key)

function byKey(
  records: readonly LogRecord[],
  of: (value: unknown) => unknown = (value) => value,
): Map<string, unknown[]> {
  const found = new Map<string, unknown[]>()
  for (const record of records) {
    const values = found.get(keyOf(record)) ?? []
    values.push(of(jsonOf(record)))
    found.set(keyOf(record), values)
  }
  return found
}
