// What a test can do to its functions: whatever it is, what they made of the records is the same as if nothing had happened.
import { defineProcessor, json, string } from 'millrace'
import { testHost } from 'millrace/testing'
import t from 'tap'
import { Random } from '#host/log/memory/random.js'

interface Total {
  count: number
  sum: number
}

/** Sums by key, tells every sum, and sends each number on to another key by the loop. */
const sums = (wait: () => Promise<void> | undefined) =>
  defineProcessor({
    inputs: { numbers: json<number>() },
    table: json<Total>(),
    outputs: { sums: json<Total>() },
    loop: json<number>(),
    on: {
      numbers(ctx, number) {
        const { count, sum } = ctx.get() ?? { count: 0, sum: 0 }
        ctx.set({ count: count + 1, sum: sum + number })
        ctx.emit('sums', ctx.key, { count: count + 1, sum: sum + number })
        ctx.loopback('all', number)
        return wait()
      },
    },
    onLoop(ctx, number) {
      const { count, sum } = ctx.get() ?? { count: 0, sum: 0 }
      ctx.set({ count: count + 1, sum: sum + number })
    },
  })

const latest = defineProcessor({
  inputs: { sums: json<Total>() },
  table: json<number[]>(),
  on: { sums: (ctx, { sum }) => ctx.set([...(ctx.get() ?? []), sum]) },
})

for (const kind of ['sync', 'async'] as const) {
  t.test(
    `crashes, rebalances, swaps and faults change nothing for a ${kind} handler`,
    async (t) => {
      const fates = new Map<string, number>()
      for (let seed = 1; seed <= 30; seed += 1) {
        const random = new Random(seed)
        const wait = () =>
          kind === 'async' && random.happens(0.5)
            ? new Promise<void>((resolve) => setImmediate(resolve))
            : undefined
        const faults = seed % 2 === 0
        const host = await testHost(
          { sums: sums(wait), latest },
          { seed, faults, timeoutMs: 60_000 },
        )
        const expected = new Map<string, number[]>()
        const fate = async (name: string, act: () => Promise<void>) => {
          fates.set(name, (fates.get(name) ?? 0) + 1)
          await act()
        }
        let total = 0
        for (let step = 0; step < 60; step += 1) {
          const key = `key-${random.upTo(5)}`
          const list = expected.get(key) ?? []
          expected.set(key, [...list, (list.at(-1) ?? 0) + step])
          total += step
          const emitted = host.emit('numbers', key, step)
          if (random.happens(0.8)) await emitted
          const drawn = random.upTo(50)
          if (drawn <= 2) await fate('crash', () => host.crash())
          else if (drawn === 3) await fate('crash, store lost', () => host.crash({ store: 'lost' }))
          else if (drawn === 4) await fate('rebalance', () => host.rebalance())
          else if (drawn === 5) await fate('lost', () => host.rebalance({ lost: true }))
          else if (drawn === 6) await fate('swap', () => host.swap({ sums: sums(wait) }))
          else if (drawn === 7) await fate('pause', () => host.pause('sums'))
          else if (drawn === 8) host.resume('sums')
          else if (drawn === 9) await fate('settled', () => host.settled())
          else if (drawn === 10) await fate('advance', () => host.advance(random.upTo(500)))
        }
        host.resume('sums')
        await host.settled()
        for (const [key, list] of expected) {
          const found = host.table('latest').get(key)
          if (JSON.stringify(found) !== JSON.stringify(list)) {
            t.same(found, list, `seed ${seed}: what became of ${key}`)
          }
        }
        t.same(host.table('sums').get('all'), { count: 60, sum: total }, `seed ${seed}: the loop`)
        t.equal(host.stream('sums').size, 60, `seed ${seed}: each sum is told once`)
        await host.close()
      }
      t.equal(fates.size, 8, `all of it has happened: ${[...fates].join(' ')}`)
    },
  )
}

t.test(
  'what was handled and not flushed is handled anew after a crash, at whatever instant',
  async (t) => {
    const instants = new Set<number>()
    for (let seed = 1; seed <= 20; seed += 1) {
      let attempts = 0
      const counting = defineProcessor({
        inputs: { clicks: string },
        table: json<number>(),
        on: {
          clicks(ctx) {
            attempts += 1
            ctx.set((ctx.get() ?? 0) + 1)
          },
        },
      })
      await using host = await testHost({ counting }, { seed })
      await host.emit('clicks', 'a', '')
      await host.crash()
      await host.settled()
      t.equal(host.table('counting').get('a'), 1, `seed ${seed}`)
      instants.add(attempts)
    }
    t.same(instants, new Set([1, 2]), 'some died before the log had it, others after')
  },
)

t.test('outputs that leave at once come again, and none is missing', async (t) => {
  const announcing = defineProcessor({
    inputs: { numbers: json<number>() },
    table: json<number>(),
    outputs: { counts: json<number>() },
    delivery: 'at-least-once',
    on: {
      numbers(ctx) {
        const count = (ctx.get() ?? 0) + 1
        ctx.set(count)
        ctx.emit('counts', ctx.key, count)
      },
    },
  })
  let repeated = 0
  for (let seed = 1; seed <= 10; seed += 1) {
    await using host = await testHost({ announcing }, { seed, faults: true })
    for (let n = 0; n < 30; n += 1) {
      await host.emit('numbers', 'a', n)
      if (n % 7 === 3) await host.crash()
    }
    await host.settled()
    t.equal(host.table('announcing').get('a'), 30, `seed ${seed}`)
    const counts: unknown[] = host
      .stream('counts')
      .records()
      .map(({ value }) => value)
    let last = 0
    for (const count of counts) {
      if (Number(count) > last + 1) t.fail(`seed ${seed}: ${count} comes behind ${last}`)
      last = Number(count)
    }
    t.equal(last, 30, `seed ${seed}: the newest is the last`)
    repeated += counts.length - 30
  }
  t.ok(repeated > 0, `${repeated} came again`)
})

t.test('a lost store comes back from the log, a kept one is kept', async (t) => {
  let isCounting = true
  const pages = defineProcessor({
    inputs: { clicks: string },
    table: string,
    on: {
      clicks(ctx, page) {
        if (!isCounting) throw new Error('nothing is to be handled anew')
        ctx.set(page)
      },
    },
  })
  await using host = await testHost({ pages })
  for (const key of ['a', 'b', 'c']) await host.emit('clicks', key, `/${key}`)
  await host.settled()
  isCounting = false
  await host.crash()
  t.same(await host.table('pages').size(), 3)
  await host.crash({ store: 'lost' })
  await host.settled()
  t.same(await host.table('pages').entries(), [
    ['a', '/a'],
    ['b', '/b'],
    ['c', '/c'],
  ])
})

t.test('a rebalance flushes first; one that lost its membership cannot', async (t) => {
  for (const lost of [false, true]) {
    const seen: string[] = []
    let go = () => {}
    const gate = new Promise<void>((resolve) => {
      go = resolve
    })
    const slow = defineProcessor({
      inputs: { jobs: string },
      table: json<number>(),
      on: {
        async jobs(ctx, job) {
          seen.push(job)
          ctx.set((ctx.get() ?? 0) + 1)
          if (job === 'second') await gate
        },
      },
    })
    await using host = await testHost({ slow })
    await host.emit('jobs', 'a', 'first')
    await host.emit('jobs', 'a', 'second')
    t.same(seen, ['first', 'second'])
    const rebalanced = host.rebalance({ lost })
    go()
    await rebalanced
    await host.settled()
    t.equal(host.table('slow').get('a'), 2)
    t.same(seen, lost ? ['first', 'second', 'second'] : ['first', 'second'])
  }
})

t.test('a swap takes other inputs, and keeps the table', async (t) => {
  const count = (stream: 'clicks' | 'taps') =>
    defineProcessor({
      inputs: { [stream]: string } as Record<'clicks' | 'taps', typeof string>,
      table: json<number>(),
      on: { [stream]: ((ctx) => ctx.set((ctx.get() ?? 0) + 1)) as Count },
    } as never)
  type Count = (ctx: { get(): number | undefined; set(value: number): void }) => void
  const definition = (stream: 'clicks' | 'taps') => count(stream) as unknown as typeof typed
  const typed = defineProcessor({
    inputs: { clicks: string, taps: string },
    table: json<number>(),
    on: { clicks() {}, taps() {} },
  })
  await using host = await testHost({ count: definition('clicks') })
  await host.emit('clicks', 'a', '')
  await host.swap({ count: definition('taps') })
  await host.emit('taps', 'a', '')
  await host.settled()
  t.equal(host.table('count').get('a'), 2)
  await t.rejects(host.emit('clicks', 'a', ''), /there is no stream "clicks"/)
  await t.rejects(host.swap({ count: {} as typeof typed }), TypeError)
  await host.emit('taps', 'a', '')
  await host.settled()
  t.equal(host.table('count').get('a'), 3, 'the version before goes on')
})

t.test('a paused function is not waited for, and goes on where it was', async (t) => {
  const count = defineProcessor({
    inputs: { clicks: string },
    table: json<number>(),
    on: { clicks: (ctx) => ctx.set((ctx.get() ?? 0) + 1) },
  })
  await using host = await testHost({ count })
  await host.pause('count')
  await host.emit('clicks', 'a', '')
  await host.settled()
  t.match(host.function('count'), { state: 'paused', lag: 1, records: 0 })
  await host.crash()
  t.equal(host.function('count').state, 'paused', 'a pause survives a crash')
  host.resume('count')
  await host.settled()
  t.match(host.function('count'), { state: 'running', lag: 0, records: 1 })
  t.equal(host.table('count').get('a'), 1)
})

t.test('what never comes to rest is told, not waited for for ever', async (t) => {
  const stuck = defineProcessor({
    inputs: { jobs: string },
    on: { jobs: () => new Promise<void>(() => {}) },
  })
  const endless = defineProcessor({
    inputs: { starts: string },
    loop: string,
    on: { starts: (ctx, text) => ctx.loopback(ctx.key, text) },
    onLoop: (ctx, text) => ctx.loopback(ctx.key, text),
  })
  await using host = await testHost({ stuck, endless }, { timeoutMs: 100 })
  await host.emit('jobs', 'a', '')
  await t.rejects(host.settled(), {
    code: 'WAIT_TIMEOUT',
    message: /waited 100 ms in vain: stuck is running, 1 behind, a handler has not ended/,
  })
  await host.rebalance()
  await host.swap({ stuck: defineProcessor({ inputs: { jobs: string }, on: { jobs() {} } }) })
  await host.settled()
  await host.emit('starts', 'a', '')
  await t.rejects(host.settled(), { message: /endless is running, \d+ behind/ })
})

t.test('time moves for retries as far as they need, and at the time of each', async (t) => {
  const at: number[] = []
  let failures = 4
  const flaky = defineProcessor({
    inputs: { jobs: string },
    table: string,
    retry: { attempts: 5, backoffMs: 100 },
    on: {
      jobs(ctx, job) {
        at.push(host.now() - start)
        if (failures-- > 0) throw new Error('not yet')
        ctx.set(job)
      },
    },
  })
  const host = await testHost({ flaky })
  t.teardown(() => host.close())
  const start = host.now()
  await host.emit('jobs', 'a', 'done')
  await host.advance(50)
  t.same(at, [0])
  await host.advance(50)
  t.same(at, [0, 100])
  await host.advance(199)
  t.same(at, [0, 100])
  await host.settled()
  t.same(at, [0, 100, 300, 700, 1500])
  t.equal(host.table('flaky').get('a'), 'done')
})

t.test('the seed is named when a function fails under faults', async (t) => {
  const broken = defineProcessor({
    inputs: { jobs: string },
    on: {
      jobs() {
        throw new Error('broken')
      },
    },
  })
  await using host = await testHost({ broken }, { seed: 7, faults: true })
  t.equal(host.seed, 7)
  await host.emit('jobs', 'a', '')
  await t.rejects(host.settled(), /broken has halted at jobs.*: broken \(seed 7\)/)
  await t.rejects(
    host
      .stream('jobs')
      .next()
      .then(() => host.stream('jobs').next()),
    /seed 7/,
  )
})

t.test('the same seed leads the same way, another another', async (t) => {
  const course = async (seed: number) => {
    const offsets: number[] = []
    const count = defineProcessor({
      inputs: { clicks: string },
      table: json<number>(),
      on: {
        clicks(ctx) {
          offsets.push(ctx.offset)
          ctx.set((ctx.get() ?? 0) + 1)
        },
      },
    })
    await using host = await testHost({ count }, { seed, faults: true, partitions: 1 })
    for (let n = 0; n < 30; n += 1) {
      await host.emit('clicks', `key-${n % 3}`, '')
      if (n % 10 === 9) await host.crash()
    }
    await host.settled()
    t.same(host.table('count').get('key-1'), 10)
    return offsets
  }
  const first = await course(5)
  t.same(await course(5), first)
  t.notSame(await course(6), first)
})

t.test('concurrent attempts and deferred records are waited for', async (t) => {
  let running = 0
  let open = () => {}
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  const acknowledgements: (() => void)[] = []
  const orders = defineProcessor({
    inputs: { orders: string, payments: string },
    table: json<string[]>(),
    concurrency: 4,
    on: {
      async orders(ctx, order) {
        running += 1
        await gate
        ctx.set([...(ctx.get() ?? []), order])
      },
      payments(ctx, payment) {
        ctx.set([...(ctx.get() ?? []), payment])
        const acknowledge = ctx.defer()
        acknowledgements.push(acknowledge)
      },
    },
  })
  await using host = await testHost({ orders }, { partitions: 1, timeoutMs: 60_000 })
  for (const key of ['a', 'b', 'c', 'd', 'a']) await host.emit('orders', key, 'order')
  t.equal(running, 4, 'one for each key')
  open()
  await host.settled()
  t.same(host.table('orders').get('a'), ['order', 'order'])
  await host.emit('payments', 'b', 'payment')
  let isSettled = false
  const settled = host.settled().then(() => {
    isSettled = true
  })
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.notOk(isSettled)
  t.same(host.table('orders').get('b'), ['order'], 'it counts when it is acknowledged')
  for (const acknowledge of acknowledgements) acknowledge()
  await settled
  t.same(host.table('orders').get('b'), ['order', 'payment'])
})
