// Tasks against the memory log with everything that may happen to them, against an independent account of what was emitted.

import { json, string } from 'millrace'
import t from 'tap'
import { HostError } from '#host/errors.js'
import type { MemoryLog } from '#host/log/memory/log.js'
import { Random } from '#host/log/memory/random.js'
import { partitionOf } from '#host/log/partitioner.js'
import type { RunnableDefinition } from '#host/processor/program.js'
import { createMemoryStore } from '#host/tables/memory.js'
import { roughLog } from '#host/testing/options.js'
import { until } from '../../support/until.js'
import { changed } from './changed-store.js'
import { edges, fastClock, harness, jsonOf, jumpingClock, options, partitions } from './harness.js'

interface Sum {
  count: number
  sum: number
}

/** Sums the numbers of each key, and emits each sum with what led to it. */
const sum = (wait?: () => Promise<void> | undefined): RunnableDefinition => ({
  inputs: { numbers: json<number>() },
  outputs: { sums: json() },
  table: json<Sum>(),
  on: {
    numbers(ctx, value) {
      const state = (ctx.get() ?? { count: 0, sum: 0 }) as Sum
      state.count += 1
      state.sum += Number(value)
      ctx.set(state)
      ctx.emit('sums', ctx.key, { key: ctx.key, offset: ctx.offset, sum: state.sum })
      return wait?.()
    },
  },
})

for (const kind of ['sync', 'async'] as const) {
  t.test(`a ${kind} handler counts each record once, whatever log and thread do`, async (t) => {
    for (let seed = 1; seed <= 40; seed += 1) {
      const random = new Random(seed)
      const pause = () =>
        random.happens(0.5) ? new Promise<void>((resolve) => setImmediate(resolve)) : undefined
      const definition = sum(kind === 'async' ? async () => pause() : undefined)
      const h = await harness({ seed, faults: roughLog, definition })
      const expected = new Map<string, Sum>()
      await h.start()
      for (let step = 0; step < 150; step += 1) {
        const key = `key-${random.upTo(6)}`
        const state = expected.get(key) ?? { count: 0, sum: 0 }
        expected.set(key, { count: state.count + 1, sum: state.sum + step })
        await h.emit('numbers', key, step)
        const fate = random.upTo(100)
        if (fate <= 6) {
          await (random.happens(0.5) ? h.crash() : h.kill())
          if (random.happens(0.3)) h.store = createMemoryStore()
          await h.start()
        } else if (fate <= 11) await h.group.swap(h.program())
        else if (fate <= 14) {
          await h.drain()
          await h.start()
        }
      }
      await h.settled()
      const outputs = new Map<string, number[]>()
      for (const record of h.records('sums')) {
        const list = outputs.get(String(record.key)) ?? []
        list.push((jsonOf(record) as Sum).sum)
        outputs.set(String(record.key), list)
      }
      const inputs = h.records('numbers')
      for (const [key, state] of expected) {
        const sums: number[] = []
        for (const record of inputs) {
          if (String(record.key) === key) sums.push((sums.at(-1) ?? 0) + Number(jsonOf(record)))
        }
        if (h.value(key) === undefined || JSON.stringify(h.value(key)) !== JSON.stringify(state)) {
          t.same(h.value(key), state, `seed ${seed}: the table of ${key}`)
        }
        if (JSON.stringify(outputs.get(key)) !== JSON.stringify(sums)) {
          t.same(outputs.get(key), sums, `seed ${seed}: the outputs of ${key}`)
        }
      }
      t.strictSame(h.changelog(), expected, `seed ${seed}: the changelog`)
      t.same(h.halts, [], `seed ${seed}: nothing halted`)
      await h.end()
    }
  })
}

t.test(
  'a commit of unknown outcome is taken from the log: written or not, it counts once',
  async (t) => {
    for (const written of [true, false]) {
      const h = await harness({ definition: sum() })
      await h.start()
      await h.emit('numbers', 'a', 1)
      await h.settled()
      h.log.failNext('unknown', { written })
      await h.emit('numbers', 'a', 2)
      await h.settled()
      t.same(h.value('a'), { count: 2, sum: 3 })
      t.same(
        h
          .records('sums')
          .map(jsonOf)
          .map((each) => (each as Sum).sum),
        [1, 3],
      )
      t.match(h.warnings, [/how a flush ended is not known/])
    }
  },
)

t.test('a failed commit is tried again, byte for byte', async (t) => {
  const h = await harness({ definition: sum() })
  await h.start()
  for (let i = 0; i < 3; i += 1) h.log.failNext('failed')
  await h.emit('numbers', 'a', 5)
  await h.settled()
  t.same(h.value('a'), { count: 1, sum: 5 })
  t.equal(h.records('sums').length, 1)
  t.match(h.warnings, [
    /the log refused a flush, trying again/,
    /takes flushes again, after 3 refusals/,
  ])
})

t.test('another owner fences the task: it stops and writes nothing more', async (t) => {
  const h = await harness({ definition: sum() })
  await h.start()
  await h.emit('numbers', 'a', 1)
  await h.settled()
  for (let partition = 0; partition < partitions; partition += 1) {
    await h.log.openWriter('sum', partition)
  }
  await h.emit('numbers', 'a', 2)
  await until('it is fenced', () => h.states.some((state) => state.startsWith('fenced')))
  t.same(h.value('a'), { count: 1, sum: 1 })
  t.equal(h.records('sums').length, 1)
})

t.test('a store that refuses a batch publishes nothing until it is stored', async (t) => {
  const h = await harness({ definition: sum() })
  let refuse = 0
  h.store = changed(h.store, {
    partition: (partition) => ({
      async write(changes, meta) {
        if (refuse > 0) {
          refuse -= 1
          throw new Error('the disk is slow today')
        }
        await partition.write(changes, meta)
      },
    }),
  })
  await h.start()
  await h.emit('numbers', 'a', 1)
  await h.settled()
  refuse = 3
  await h.emit('numbers', 'a', 2)
  await until('it was refused', () => h.warnings.length > 0)
  t.same(h.value('a'), { count: 1, sum: 1 })
  await h.settled()
  t.same(h.value('a'), { count: 2, sum: 3 })
  t.equal(h.records('sums').length, 2, 'the commit is not made again')
})

t.test('a store that has failed is given up at once, and not tried again as it is', async (t) => {
  for (const [step, code] of [
    ['at a flush', 'STORE_FAILED'],
    ['at a flush', 'STORE_DAMAGED'],
    ['at the opening', 'STORE_FAILED'],
  ] as const) {
    const h = await harness({ definition: sum() })
    let isFull = step === 'at the opening'
    let writes = 0
    h.store = changed(h.store, {
      partition: (partition) => ({
        async write(changes, meta) {
          if (!isFull) return await partition.write(changes, meta)
          writes += 1
          throw new HostError(code, 'No space left on device')
        },
      }),
    })
    await h.start()
    isFull = true
    await h.emit('numbers', 'a', 1)
    await until('it gives the store up', () =>
      h.states.some((state) => state.startsWith('detached')),
    )
    t.equal(writes, h.states.filter((state) => state.startsWith('detached')).length, code)
    t.same(h.halts, [], step)
    await h.end()
  }
})

t.test(
  'several inputs are taken by timestamp, ties in declared order, the same in every replay',
  async (t) => {
    const two = {
      ...edges,
      inputs: [
        { stream: 'left', topic: 'left' },
        { stream: 'right', topic: 'right' },
      ],
    }
    const note = (ctx: { get(): unknown; set(value: unknown): void }, value: unknown) =>
      ctx.set([...((ctx.get() ?? []) as unknown[]), value])
    for (let seed = 1; seed <= 10; seed += 1) {
      const h = await harness({
        seed,
        faults: { delays: 0.5, gaps: 0.2 },
        edges: two,
        definition: {
          inputs: { left: json(), right: json() },
          outputs: { sums: json() },
          table: json(),
          on: { left: note, right: note },
        },
      })
      await h.emit('right', 'a', 'r10', { timestamp: 10 })
      await h.emit('right', 'a', 'r20', { timestamp: 20 })
      await h.emit('left', 'a', 'l05', { timestamp: 5 })
      await h.emit('left', 'a', 'l10', { timestamp: 10 })
      await h.emit('left', 'a', 'l30', { timestamp: 30 })
      await h.start()
      await h.settled()
      t.same(h.value('a'), ['l05', 'l10', 'r10', 'r20', 'l30'])
      await h.end()
    }
  },
)

t.test('a ctx that outlives its record throws, and changes nothing', async (t) => {
  let kept:
    | { get(): unknown; set(value: unknown): void; emit(...args: unknown[]): void }
    | undefined
  const h = await harness({
    definition: {
      ...sum(),
      on: {
        numbers(ctx) {
          kept = ctx as unknown as typeof kept
          ctx.set({ count: 1, sum: 0 })
        },
      },
    },
  })
  await h.start()
  await h.emit('numbers', 'a', 1)
  await h.settled()
  t.throws(() => kept?.set({ count: 99, sum: 99 }), { code: 'MISUSED_CONTEXT' })
  t.throws(() => kept?.get(), { code: 'MISUSED_CONTEXT' })
  t.throws(() => kept?.emit('sums', 'a', 1), { code: 'MISUSED_CONTEXT' })
  t.same(h.value('a'), { count: 1, sum: 0 })
})

t.test('misuse of ctx names what was wrong', async (t) => {
  const uses: [
    use: (ctx: Parameters<RunnableDefinition['on'][string]>[0]) => void,
    message: RegExp,
    code?: string,
  ][] = [
    [(ctx) => ctx.emit('nowhere', 'k', 1), /"nowhere".*not in this function's outputs.*sums/],
    [(ctx) => ctx.emit('sums', 'k', 1, { partition: 7 }), /partition 7 does not exist/],
    [(ctx) => ctx.emit('sums', 'k', 1, { timestamp: -1 }), /timestamp -1/],
    [(ctx) => ctx.emit('sums', 7 as unknown as string, 1), /key is no string/],
    [(ctx) => ctx.set(null), /use ctx\.delete\(\)/],
    [(ctx) => ctx.set(undefined), /use ctx\.delete\(\)/],
    [(ctx) => ctx.loopback('k', 1), /declares no loop/],
    [(ctx) => ctx.fail('enough'), /enough/, 'RECORD_FAILED'],
    [(ctx) => ctx.set({ big: 1n }), /ctx\.set, key "a": the value is not taken/, 'UNENCODABLE'],
    [(ctx) => ctx.emit('sums', 'k', () => {}), /ctx\.emit\("sums"\), key "k"/, 'UNENCODABLE'],
  ]
  for (const [use, message, code] of uses) {
    const h = await harness({
      options: { ...options, onError: 'skip', retry: { attempts: 1, backoffMs: 1 } },
      definition: { ...sum(), on: { numbers: (ctx) => use(ctx) } },
    })
    await h.start()
    await h.emit('numbers', 'a', 1)
    await h.settled()
    t.match(h.skips, [{ error: { message }, key: 'a', stream: 'numbers', attempts: 1 }])
    t.equal(h.skips[0]?.error.code, code)
    await h.end()
  }
})

t.test(
  'a record that does not decode is not retried; halted, it waits for a codec that can read it',
  async (t) => {
    let decoded = 0
    const strict = {
      encode: (value: unknown) => Buffer.from(JSON.stringify(value)),
      decode(bytes: Uint8Array): unknown {
        decoded += 1
        const value: unknown = JSON.parse(Buffer.from(bytes).toString())
        if (value === 13) throw new Error('unlucky')
        return value
      },
    }
    const h = await harness({ definition: { ...sum(), inputs: { numbers: strict } } })
    await h.start()
    await h.emit('numbers', 'a', 1)
    await h.emit('numbers', 'a', 13)
    await h.emit('numbers', 'a', 2)
    await until('it halts', () => h.halts.length > 0)
    t.match(h.halts, [
      {
        error: { code: 'UNDECODABLE', message: /does not decode: unlucky/ },
        attempts: 1,
        key: 'a',
      },
    ])
    t.equal(decoded, 2)
    h.group.resume()
    await until('it halts again', () => h.halts.length > 1)
    await h.group.swap(h.program(sum()))
    await h.settled()
    t.same(h.value('a'), { count: 3, sum: 16 })
  },
)

t.test('tombstones are dropped, handed over as null, or decoded, as the option says', async (t) => {
  for (const [tombstones, expected] of [
    ['ignore', ['x']],
    ['process', ['x', null]],
    ['decode', ['x', '']],
  ] as const) {
    const h = await harness({
      options: { ...options, tombstones },
      definition: {
        inputs: { numbers: string },
        outputs: { sums: json() },
        table: json(),
        on: { numbers: (ctx, value) => ctx.set([...((ctx.get() ?? []) as unknown[]), value]) },
      },
    })
    await h.start()
    await h.emit('numbers', 'a', 'unused', { value: Buffer.from('x') })
    await h.emit('numbers', 'a', null)
    await h.settled()
    t.same(h.value('a'), expected, tombstones)
    await h.end()
  }
})

t.test('delete removes the key from table and changelog, and reads see it at once', async (t) => {
  const h = await harness({
    definition: {
      ...sum(),
      on: {
        numbers(ctx, value) {
          if (value === 0) ctx.delete()
          else ctx.set({ count: 1, sum: Number(value) })
          ctx.emit('sums', ctx.key, { seen: ctx.get() ?? 'nothing' })
        },
      },
    },
  })
  await h.start()
  await h.emit('numbers', 'a', 4)
  await h.emit('numbers', 'a', 0)
  await h.settled()
  t.equal(h.value('a'), undefined)
  t.equal(h.changelog().size, 0)
  t.same(h.records('sums').map(jsonOf), [{ seen: { count: 1, sum: 4 } }, { seen: 'nothing' }])
})

t.test('pause stops at a record boundary with everything stored, resume goes on', async (t) => {
  const h = await harness({ definition: sum() })
  await h.start()
  await h.emit('numbers', 'a', 1)
  await h.settled()
  await h.group.pause()
  await h.emit('numbers', 'a', 2)
  t.same(h.value('a'), { count: 1, sum: 1 })
  h.group.resume()
  await h.settled()
  t.same(h.value('a'), { count: 2, sum: 3 })
})

t.test(
  'a handler that never resolves is given up by a swap, its record goes to the new version',
  async (t) => {
    let aborted = false
    const h = await harness({
      attemptGraceMs: 10,
      definition: {
        ...sum(),
        on: {
          numbers(ctx) {
            ctx.signal.addEventListener('abort', () => {
              aborted = true
            })
            ctx.set({ count: 99, sum: 99 })
            return new Promise(() => {})
          },
        },
      },
    })
    await h.start()
    await h.emit('numbers', 'a', 7)
    await until('the attempt is under way', () => h.progress.position(0, 0) >= 0 && !h.group.isIdle)
    await h.group.swap(h.program(sum()))
    await h.settled()
    t.ok(aborted)
    t.same(h.value('a'), { count: 1, sum: 7 })
  },
)

t.test('effects above flush.maxBytes are flushed without waiting for the interval', async (t) => {
  const h = await harness({
    flush: { intervalMs: 3_600_000, maxIntervalMs: 3_600_000, maxBytes: 2_000 },
    definition: {
      ...sum(),
      on: { numbers: (ctx, value) => ctx.set({ count: 1, sum: value, pad: 'x'.repeat(500) }) },
    },
  })
  for (let i = 0; i < 40; i += 1) await h.emit('numbers', `key-${i}`, i)
  await h.start()
  await h.settled()
  t.equal(h.changelog().size, 40)
  t.same(h.value('key-39'), { count: 1, sum: 39, pad: 'x'.repeat(500) })
})

t.test(
  'positions that the log has lost are taken from table or changelog; without any it halts',
  async (t) => {
    const h = await harness({ definition: sum() })
    await h.start()
    await h.emit('numbers', 'a', 1)
    await h.emit('numbers', 'b', 2)
    await h.settled()
    await h.drain()
    const forgetful = () => {
      const { log } = h
      const openWriter = log.openWriter.bind(log)
      log.openWriter = async (group, partition) => {
        const writer = await openWriter(group, partition)
        return Object.defineProperty(writer, 'positions', { value: [] })
      }
    }
    forgetful()
    await h.start()
    await h.emit('numbers', 'a', 3)
    await h.settled()
    t.same(h.value('a'), { count: 2, sum: 4 }, 'from the table')
    await h.drain()
    h.store = createMemoryStore()
    t.same(h.progressions, [], 'nothing had to be recovered so far')
    await h.start()
    const replayed = h.progressions.filter(([, next, end]) => next === end && end > 0)
    t.ok(replayed.length > 0, 'it told how far it has come')
    await h.emit('numbers', 'a', 3)
    await h.settled()
    t.same(h.value('a'), { count: 3, sum: 7 }, 'from the changelog')
    t.same(h.halts, [])
  },
)

/** Of which the log has not heard yet: `hears` is asked at each look. */
function unheardOf(log: MemoryLog, topic: string, hears: () => boolean): void {
  const describe = log.describe.bind(log)
  log.describe = async (names) => {
    const found = new Map(await describe(names))
    if (!hears()) found.delete(topic)
    return found
  }
}

t.test('a topic of which the log has not heard yet is waited for', async (t) => {
  const h = await harness({ definition: sum(), clock: jumpingClock() })
  const looks = new Map([
    ['numbers', 0],
    ['sum-table', 0],
  ])
  for (const topic of looks.keys()) {
    unheardOf(h.log, topic, () => {
      const nth = (looks.get(topic) ?? 0) + 1
      looks.set(topic, nth)
      return nth > 5
    })
  }
  await h.start()
  await h.emit('numbers', 'a', 1)
  await h.settled()
  t.same(h.halts, [])
  t.same(h.value('a'), { count: 1, sum: 1 })
})

t.test('a topic that is not there halts, and the function goes on when it is', async (t) => {
  let isThere = false
  const h = await harness({ definition: sum(), clock: jumpingClock() })
  unheardOf(h.log, 'sum-table', () => isThere)
  await h.start()
  await until('it halts', () => h.halts.length > 0)
  t.match(h.halts[0], { error: { code: 'UNKNOWN_TOPIC', message: /sum-table does not exist/ } })
  isThere = true
  h.group.resume()
  await h.emit('numbers', 'a', 1)
  await h.settled()
  t.same(h.value('a'), { count: 1, sum: 1 })
})

t.test('an input made anew halts, it is not read as if nothing had happened', async (t) => {
  const h = await harness({ definition: sum() })
  await h.start()
  await h.emit('numbers', 'a', 1)
  await h.settled()
  await h.drain()
  await h.log.remove(['numbers'])
  await h.prepare()
  await h.emit('numbers', 'a', 1)
  await h.start()
  await until('it halts', () => h.halts.length > 0)
  t.match(h.halts[0], { error: { code: 'INPUT_LOST', message: /deleted and made anew/ } })
  t.same(h.value('a'), { count: 1, sum: 1 })
})

for (const isRunning of [false, true]) {
  for (const onDataLoss of ['halt', 'continue'] as const) {
    const when = isRunning ? 'while it runs' : 'while it is away'
    t.test(`without a table, too, an input made anew ${when} is told, ${onDataLoss}`, async (t) => {
      const h = await harness({
        definition: { inputs: { numbers: json() }, on: { numbers() {} } },
        edges: { ...edges, table: null, outputs: [] },
        options: { ...options, onDataLoss },
      })
      await h.start()
      await h.emit('numbers', 'a', 1)
      await h.settled()
      if (!isRunning) await h.drain()
      await h.log.remove(['numbers'])
      await h.prepare()
      await h.emit('numbers', 'a', 10)
      if (!isRunning) await h.start()
      if (onDataLoss === 'continue') {
        await h.settled()
        await until('it is told', () => h.warnings.join().includes('deleted and made anew'))
        t.same(h.halts, [])
        return
      }
      await until('it halts', () => h.halts.length > 0)
      t.match(h.halts[0], { error: { code: 'INPUT_LOST' } })
      h.group.resume()
      await until('it halts again', () => h.halts.length > 1)
      t.match(h.halts[1], { error: { code: 'INPUT_LOST', message: /reset the function/ } })
      h.notes.clear()
      h.group.resume()
      await h.settled()
    })
  }
}

t.test(
  'records that expired before they were read halt it, they are not passed over',
  async (t) => {
    const h = await harness({ definition: sum() })
    await h.start()
    await h.emit('numbers', 'a', 1)
    await h.settled()
    await h.drain()
    await h.emit('numbers', 'a', 2)
    for (const { partition, stableEnd } of (await h.log.describe(['numbers'])).get('numbers')
      ?.partitions ?? []) {
      h.log.trim('numbers', partition, stableEnd)
    }
    await h.start()
    await until('it halts', () => h.halts.length > 0)
    t.match(h.halts[0], { error: { code: 'INPUT_LOST', message: /records are gone/ } })
    t.same(h.value('a'), { count: 1, sum: 1 })
  },
)

t.test(
  'records lost to retention halt, or are passed over when the function says so',
  async (t) => {
    for (const onDataLoss of ['halt', 'continue'] as const) {
      const h = await harness({ definition: sum(), options: { ...options, onDataLoss } })
      await h.start()
      await h.emit('numbers', 'a', 1)
      await h.settled()
      await h.drain()
      for (const n of [10, 100, 1000]) await h.emit('numbers', 'a', n)
      const all = [0, 1, 2].flatMap((partition) =>
        h.log.records('numbers', partition).map(({ offset }) => ({ partition, offset })),
      )
      const last = all.at(-1)
      if (last === undefined) throw new Error('no record')
      h.log.trim('numbers', last.partition, last.offset)
      await h.start()
      if (onDataLoss === 'halt') {
        await until('it halts', () => h.halts.length > 0)
        t.match(h.halts[0], { error: { code: 'INPUT_LOST', message: /onDataLoss: 'continue'/ } })
        t.same(h.value('a'), { count: 1, sum: 1 })
      } else {
        await h.settled()
        t.same(h.value('a'), { count: 2, sum: 1001 })
        t.same(h.halts, [])
        t.match(h.warnings.join(), /records are gone: .*it goes on at/)
      }
      await h.end()
    }
  },
)

t.test('an input made anew is read from its oldest record when the function says so', async (t) => {
  const h = await harness({ definition: sum(), options: { ...options, onDataLoss: 'continue' } })
  await h.start()
  await h.emit('numbers', 'a', 1)
  await h.settled()
  await h.drain()
  await h.log.remove(['numbers'])
  await h.prepare()
  await h.emit('numbers', 'a', 10)
  await h.start()
  await h.settled()
  t.same(h.value('a'), { count: 2, sum: 11 })
  t.match(h.warnings.join(), /deleted and made anew/)
})

t.test(
  'an input made anew under a running function halts it, and nobody waits for its positions',
  async (t) => {
    const h = await harness({ definition: sum() })
    await h.start()
    await h.emit('numbers', 'a', 1)
    await h.settled()
    const partition = partitionOf(Buffer.from('a'), partitions, 'murmur2')
    t.ok(h.progress.position(partition, 0) > 0)
    await h.log.remove(['numbers'])
    await h.prepare()
    await until('it halts', () => h.halts.length > 0)
    t.match(h.halts[0], { error: { code: 'INPUT_LOST' } })
    t.equal(
      h.progress.position(partition, 0),
      0,
      'a record of the new one is not taken for handled',
    )
    await h.end()
  },
)

t.test(
  'an input made anew under a running function is read when the function says so',
  async (t) => {
    const h = await harness({ definition: sum(), options: { ...options, onDataLoss: 'continue' } })
    await h.start()
    await h.emit('numbers', 'a', 1)
    await h.settled()
    await h.log.remove(['numbers'])
    await h.prepare()
    await h.emit('numbers', 'a', 10)
    await h.settled()
    t.same(h.value('a'), { count: 2, sum: 11 })
    t.same(h.halts, [])
    await h.end()
  },
)

t.test(
  'a table that cannot be read is no failure of the handler, whatever it makes of it',
  async (t) => {
    for (const [name, numbers] of [
      ['lets it pass', sum().on.numbers],
      [
        'takes it for an absent key',
        (ctx, value) => {
          let state: unknown
          try {
            state = ctx.get()
          } catch {}
          const { count, sum: total } = (state ?? { count: 0, sum: 0 }) as Sum
          ctx.set({ count: count + 1, sum: total + Number(value) })
        },
      ],
    ] as [string, RunnableDefinition['on'][string]][]) {
      const h = await harness({
        clock: fastClock,
        options: { ...options, onError: 'skip', retry: { attempts: 1, backoffMs: 1 } },
        definition: { ...sum(), on: { numbers } },
      })
      await h.start()
      await h.emit('numbers', 'a', 1)
      await h.settled()
      await h.drain()
      let refusals = 9
      h.store = changed(h.store, {
        partition: (partition) => ({
          get(key) {
            if (refusals > 0) {
              refusals -= 1
              throw new Error('too many open files')
            }
            return partition.get(key)
          },
        }),
      })
      await h.start()
      await h.emit('numbers', 'a', 2)
      await h.settled()
      t.same(h.value('a'), { count: 2, sum: 3 }, name)
      t.same(h.skips, [], name)
      await h.drain()
      refusals = 1_000
      await h.start()
      await h.emit('numbers', 'a', 3)
      await until('it gives the store up', () =>
        h.states.some((state) => state.startsWith('detached')),
      )
      t.same(h.halts, [], name)
      await h.end()
    }
  },
)

t.test('a read that fails in one partition loses nothing of the others', async (t) => {
  const h = await harness({ clock: fastClock, definition: sum() })
  const reader = h.log.reader.bind(h.log)
  let failures = 3
  h.log.reader = (given) => {
    const inner = reader(given)
    const next = inner.next.bind(inner)
    inner.next = async () => {
      const batches = await next()
      if (failures === 0 || batches.length === 0) return batches
      failures -= 1
      throw new Error('EMFILE')
    }
    return inner
  }
  for (let i = 1; i <= 30; i += 1) await h.emit('numbers', `key-${i % 5}`, i)
  await h.start()
  await h.settled()
  t.same(
    Array.from({ length: 5 }, (_, i) => (h.value(`key-${i}`) as Sum).count),
    [6, 6, 6, 6, 6],
  )
  t.equal(failures, 0)
})

t.test('whatever a handler throws or returns, the function halts at the record', async (t) => {
  const circular: Error & { cause?: unknown } = new Error('round and round')
  circular.cause = circular
  const bad: Record<string, () => unknown> = {
    'a circular cause': () => {
      throw circular
    },
    'no prototype': () => {
      throw Object.create(null)
    },
    'a message that throws': () => {
      throw Object.defineProperty({}, 'message', {
        get() {
          throw new Error('hidden')
        },
      })
    },
    'a then that throws': () => ({
      // biome-ignore lint/suspicious/noThenProperty: that is what is tried
      then() {
        throw new Error('no promise')
      },
    }),
  }
  for (const [name, act] of Object.entries(bad)) {
    const h = await harness({ clock: fastClock, definition: { ...sum(), on: { numbers: act } } })
    await h.start()
    await h.emit('numbers', 'a', 1)
    await until('it halts', () => h.halts.length > 0)
    t.match(h.halts, [{ offset: Number, attempts: 3, key: 'a' }], name)
    await h.group.swap(h.program(sum()))
    await h.settled()
    t.same(h.value('a'), { count: 1, sum: 1 }, name)
    await h.end()
  }
})

t.test(
  'a record too large for the log fails where it is made, and a smaller one goes on',
  async (t) => {
    const large = (what: 'set' | 'emit'): RunnableDefinition => ({
      ...sum(),
      on: {
        numbers: (ctx) =>
          what === 'set' ? ctx.set('x'.repeat(2_000)) : ctx.emit('sums', 'k', ['x'.repeat(2_000)]),
      },
    })
    for (const what of ['set', 'emit'] as const) {
      const h = await harness({ clock: fastClock, maxRecordBytes: 2_000, definition: large(what) })
      await h.start()
      await h.emit('numbers', 'a', 1)
      await until('it halts', () => h.halts.length > 0)
      t.match(h.halts, [{ error: { message: /log\.maxRecordBytes/ }, offset: Number }])
      await h.group.swap(h.program(sum()))
      await h.settled()
      t.same(h.value('a'), { count: 1, sum: 1 })
      await h.end()
    }
  },
)

t.test(
  'a flush that the log will never take halts, and another version is done with it',
  async (t) => {
    const h = await harness({
      clock: fastClock,
      maxRecordBytes: 1 << 30,
      definition: { ...sum(), on: { numbers: (ctx) => ctx.set('x'.repeat(9 << 20)) } },
    })
    await h.start()
    await h.emit('numbers', 'a', 1)
    await until('it halts', () => h.halts.length > 0)
    t.match(h.halts, [{ error: { code: 'RECORD_TOO_LARGE' }, partition: Number }])
    t.same(h.warnings, [], 'it is not tried again')
    await h.group.swap(h.program(sum()))
    await h.settled()
    t.same(h.value('a'), { count: 1, sum: 1 })
  },
)

t.test('flush.maxBytes bounds what waits, for handlers that await too', async (t) => {
  for (const wait of [undefined, async () => {}]) {
    let handled = 0
    let release = () => {}
    const gate = new Promise<void>((resolve) => {
      release = resolve
    })
    const h = await harness({
      flush: { intervalMs: 1, maxIntervalMs: 1, maxBytes: 5_000 },
      definition: {
        ...sum(),
        on: {
          numbers(ctx, value) {
            handled += 1
            ctx.set({ count: 1, sum: value })
            return wait?.()
          },
        },
      },
    })
    let isOpen = true
    h.store = changed(h.store, {
      partition: (partition) => ({
        async write(changes, meta) {
          if (!isOpen) await gate
          await partition.write(changes, meta)
        },
      }),
    })
    await h.start()
    isOpen = false
    for (let i = 0; i < 2_000; i += 1) await h.emit('numbers', `key-${i}`, i)
    let before = -1
    await until('it has come to rest', () => {
      const isAtRest = handled > 0 && handled === before
      before = handled
      return isAtRest
    })
    t.ok(handled < 700, `${handled} handled while nothing could be stored`)
    release()
    await h.settled()
    t.equal(h.changelog().size, 2_000)
    await h.end()
  }
})

t.test(
  'an idle table is noted to be at the end of its changelog, and so is one that stops',
  async (t) => {
    const h = await harness({ definition: sum(), refreshMs: 2 })
    const applied = () =>
      Array.from({ length: partitions }, (_, n) => h.store.partition(n).meta()?.appliedAt ?? 0)
    await h.start()
    await h.emit('numbers', 'a', 1)
    await h.settled()
    const once = applied()
    await until('all are noted anew', () => applied().every((at, n) => at > (once[n] ?? 0)))
    t.same(h.value('a'), { count: 1, sum: 1 })
    await h.end()

    const still = await harness({ definition: sum() })
    await still.start()
    const before = still.store.partition(0).meta()?.appliedAt ?? 0
    await until('time passes', () => Date.now() > before)
    await still.drain()
    t.ok((still.store.partition(0).meta()?.appliedAt ?? 0) > before)
  },
)

t.test('a log that takes nothing does not keep an idle function from its end', async (t) => {
  const faults: { failed?: number } = {}
  const h = await harness({ definition: sum(), faults })
  await h.start()
  await h.emit('numbers', 'a', 1)
  await h.settled()
  faults.failed = 1
  await h.drain()
  t.same(h.halts, [])
  t.same(h.warnings, [], 'and nothing was tried again')
  faults.failed = 0
  await h.start()
  await h.emit('numbers', 'a', 2)
  await h.settled()
  t.same(h.value('a'), { count: 2, sum: 3 })
})

t.test('a refresh that is refused leaves the task sound', async (t) => {
  const faults: { failed?: number } = {}
  const h = await harness({ definition: sum(), faults, refreshMs: 2 })
  const commits = h.log.openWriter.bind(h.log)
  let refused = 0
  h.log.openWriter = async (...of) => {
    const writer = await commits(...of)
    const commit = writer.commit.bind(writer)
    writer.commit = async (given) => {
      const outcome = await commit(given)
      if (outcome.kind === 'failed') refused += 1
      return outcome
    }
    return writer
  }
  await h.start()
  faults.failed = 1
  await until('some were refused', () => refused >= partitions)
  faults.failed = 0
  await h.emit('numbers', 'a', 1)
  await h.settled()
  t.same(h.value('a'), { count: 1, sum: 1 })
  t.same(h.halts, [])
})

t.test('an idle task that another owner has fenced notices when it would note that', async (t) => {
  const h = await harness({ definition: sum(), refreshMs: 2 })
  await h.start()
  for (let partition = 0; partition < partitions; partition += 1) {
    await h.log.openWriter('sum', partition)
  }
  const fenced = () => h.states.filter((state) => state.startsWith('fenced'))
  await until('all are fenced', () => fenced().length === partitions)
  t.equal(new Set(fenced()).size, partitions)
})
