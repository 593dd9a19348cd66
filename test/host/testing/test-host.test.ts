// The test kit as its users meet it: functions by name, what they made of what was emitted, and what is done to them meanwhile.
import { type Codec, defineProcessor, int64, json, string, topic } from 'millrace'
import { testHost } from 'millrace/testing'
import t from 'tap'
import { z } from 'zod'

const clickCount = defineProcessor({
  inputs: { clicks: json<{ page: string }>() },
  table: json<{ count: number }>(),
  outputs: { counts: json<{ count: number; page: string }>() },
  on: {
    clicks(ctx, { page }) {
      const count = (ctx.get()?.count ?? 0) + 1
      ctx.set({ count })
      ctx.emit('counts', ctx.key, { count, page }, { headers: { from: 'click-count' } })
    },
  },
})

const alerts = defineProcessor({
  inputs: { counts: json<{ count: number; page: string }>() },
  outputs: { alerts: string },
  on: {
    counts(ctx, { count }) {
      if (count === 3) ctx.emit('alerts', ctx.key, `${ctx.key} has clicked ${count} times`)
    },
  },
})

t.test('what was emitted is handled when the host has settled', async (t) => {
  await using host = await testHost({ clickCount })
  await host.emit('clicks', 'alice', { page: '/' })
  await host.emit('clicks', 'alice', { page: '/home' })
  await host.emit('clicks', 'bob', { page: '/' })
  await host.settled()
  const table = host.table('clickCount')
  t.same(table.get('alice'), { count: 2 })
  t.same(table.get('nobody'), undefined)
  t.ok(table.has('bob'))
  t.notOk(table.has('nobody'))
  t.same(await table.entries(), [
    ['alice', { count: 2 }],
    ['bob', { count: 1 }],
  ])
  t.same(await table.keys({ prefix: 'b' }), ['bob'])
  t.same(await table.keys({ to: 'b' }), ['alice'])
  t.equal(await table.size(), 2)
  t.equal(host.table('click-count'), table)
})

t.test(
  'records of a stream come in the order of their arrival, with all that they carry',
  async (t) => {
    await using host = await testHost({ clickCount, alerts })
    for (const key of ['dora', 'alice', 'bob', 'carl'])
      await host.emit('clicks', key, { page: key })
    const counts = host.stream('counts')
    t.match(await counts.next(), {
      key: 'dora',
      value: { count: 1, page: 'dora' },
      headers: { from: 'click-count' },
      timestamp: host.now(),
      partition: Number,
      offset: 0,
    })
    t.equal(host.stream('counts'), counts)
    t.equal((await counts.next())?.key, 'alice')
    const rest: string[] = []
    for await (const { key } of counts) rest.push(key)
    t.same(rest, ['bob', 'carl'])
    t.equal(await counts.next(), undefined, 'at its end')
    t.equal(counts.size, 4)
    counts.seek(1)
    t.equal((await counts.next())?.key, 'alice')
    t.throws(() => counts.seek(5), RangeError)
    t.same(
      counts.records().map(({ key }) => key),
      ['dora', 'alice', 'bob', 'carl'],
    )
  },
)

t.test('functions that a stream leads through run together', async (t) => {
  await using host = await testHost({ clickCount, alerts })
  for (let i = 0; i < 5; i += 1) await host.emit('clicks', 'alice', { page: '/' })
  t.match(await host.stream('alerts').next(), { key: 'alice', value: 'alice has clicked 3 times' })
  t.equal(await host.stream('alerts').next(), undefined)
  t.match(host.function('alerts'), { state: 'running', records: 5, lag: 0, error: undefined })
})

t.test('names are kebab-case, or the same in camelCase; others are refused', async (t) => {
  await using host = await testHost({ 'click-count': clickCount, alertsOfPages2: alerts })
  t.equal(host.function('click-count').name, 'click-count')
  t.equal(host.function('alertsOfPages2').name, 'alerts-of-pages2')
  t.equal(host.function('alerts-of-pages2').name, 'alerts-of-pages2')
  for (const name of ['click_count', '1st', '', 'a b', 'é']) {
    await t.rejects(testHost({ [name]: clickCount }), { name: 'TypeError', message: /no name of/ })
  }
  await t.rejects(testHost({ clickCount, 'click-count': clickCount }), {
    name: 'TypeError',
    message: /two functions have the name click-count/,
  })
})

t.test('what the host would refuse is refused, with every problem', async (t) => {
  const given = (definition: unknown) => ({ clickCount: definition as typeof clickCount })
  await t.rejects(testHost(given({ default: clickCount })), {
    name: 'TypeError',
    message: /but a module: pass its default export/,
  })
  await t.rejects(testHost(given({ inputs: {} })), {
    message: /nothing that defineProcessor or defineView made/,
  })
  await t.rejects(testHost(given(defineProcessor({ inputs: {}, on: { x() {} } } as never))), {
    name: 'TypeError',
    message: /click-count cannot run: inputs: at least one stream.*on\.x: no input has this name/,
  })
})

t.test('streams, tables and functions that are none are named, with a hint', async (t) => {
  await using host = await testHost({ clickCount, alerts })
  const wrong = 'click' as 'clicks'
  await t.rejects(host.emit(wrong, 'a', { page: '' }), /no stream "click", did you mean "clicks"\?/)
  t.throws(() => host.stream(wrong), TypeError)
  t.throws(() => host.table('alerts' as 'clickCount'), /no table "alerts".*there are: click-count/)
  t.throws(() => host.function('alert' as 'alerts'), /did you mean "alerts"/)
})

t.test('a value has to suit one of the stream’s readers', async (t) => {
  const page = z.object({ page: z.string() })
  const strict = defineProcessor({
    inputs: { clicks: json(page) },
    table: string,
    on: { clicks: (ctx, click) => ctx.set(click.page) },
  })
  const numbers = defineProcessor({
    inputs: { clicks: int64 },
    onError: 'skip',
    on: { clicks() {} },
  })
  await using host = await testHost({ strict, numbers })
  await host.emit('clicks', 'a', { page: '/' })
  await host.emit('clicks', 'a', 7n)
  await t.rejects(host.emit('clicks', 'a', { page: 7 } as never), {
    code: 'BAD_VALUE',
    message: /"clicks" does not take the value: refused by the schema: page:.*int64 codec/,
  })
  const error = await host.settled().then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  t.match(error, { code: 'UNDECODABLE', message: /strict has halted at clicks, partition \d/ })
  t.equal(host.table('strict').get('a'), '/')
  t.match(host.function('numbers').skipped, [{ key: 'a', error: { code: 'UNDECODABLE' } }])
})

t.test(
  'settled rejects at a halted function, with the very error that the handler threw',
  async (t) => {
    const broken = new Error('no such page')
    const definition = (isBroken: boolean) =>
      defineProcessor({
        inputs: { clicks: json<{ page: string }>() },
        table: json<number>(),
        on: {
          clicks(ctx, { page }) {
            if (isBroken && page === '/nowhere') throw broken
            ctx.set((ctx.get() ?? 0) + 1)
          },
        },
      })
    await using host = await testHost({ pages: definition(true) })
    await host.emit('clicks', 'alice', { page: '/' })
    await host.emit('clicks', 'alice', { page: '/nowhere' })
    const start = host.now()
    const error = await host.settled().then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    t.match(error, {
      name: 'HostError',
      message:
        /^pages has halted at clicks, partition \d, offset 1, key "alice", after 3 attempts: no such page$/,
      function: 'pages',
      stream: 'clicks',
      offset: 1,
    })
    t.equal((error as Error).cause, broken)
    t.equal(host.now() - start, 300, 'the pauses between attempts, 100 and 200 ms')
    t.equal(host.table('pages').get('alice'), 1)
    t.match(host.function('pages'), { state: 'halted', error: { code: 'HANDLER_FAILED' }, lag: 1 })
    await host.swap({ pages: definition(false) })
    await host.settled()
    t.equal(host.table('pages').get('alice'), 2)
    t.equal(host.function('pages').state, 'running')
  },
)

t.test('timestamps are those of the clock, which stands still until it is moved', async (t) => {
  const seen: number[] = []
  const times = defineProcessor({
    inputs: { ticks: string },
    on: { ticks: (ctx) => void seen.push(ctx.timestamp) },
  })
  await using host = await testHost({ times }, { startTime: 1_000_000 })
  t.equal(host.now(), 1_000_000)
  await host.emit('ticks', 'a', '')
  await host.advance(500)
  await host.emit('ticks', 'a', '')
  await host.emit('ticks', 'a', '', { timestamp: 42 })
  await host.settled()
  t.same(seen, [1_000_000, 1_000_500, 42])
  t.equal(host.now(), 1_000_500)
  await t.rejects(host.advance(-1), RangeError)
  await t.rejects(host.emit('ticks', 'a', '', { timestamp: 1.5 }), RangeError)
  await t.rejects(host.emit('ticks', 'a', '', { partition: 4 }), /partition 4 does not exist/)
})

t.test('a handler that awaits is waited for, in real time', async (t) => {
  const slow = defineProcessor({
    inputs: { jobs: string },
    table: string,
    on: {
      async jobs(ctx, job) {
        await new Promise((resolve) => setTimeout(resolve, 5))
        ctx.set(job)
      },
    },
  })
  await using host = await testHost({ slow })
  const start = host.now()
  await host.emit('jobs', 'a', 'done')
  await host.settled()
  t.equal(host.table('slow').get('a'), 'done')
  t.equal(host.now(), start, 'virtual time had nothing to do with it')
})

t.test('a custom codec of a reader and of a writer decode what lies in a stream', async (t) => {
  const date: Codec<Date> = {
    encode: (value) => Buffer.from(value.toISOString()),
    decode: (bytes) => new Date(Buffer.from(bytes).toString()),
  }
  const days = defineProcessor({
    inputs: { days: date },
    outputs: { later: date },
    table: date,
    on: {
      days(ctx, day) {
        ctx.set(day)
        ctx.emit('later', ctx.key, new Date(day.getTime() + 1))
      },
    },
  })
  await using host = await testHost({ days })
  await host.emit('days', 'a', new Date(5))
  t.same((await host.stream('later').next())?.value, new Date(6))
  t.same(host.stream('days').records()[0]?.value, new Date(5))
  t.same(host.table('days').get('a'), new Date(5))
})

t.test(
  'streams, tables and loops are placed by their hashers, and lie where they are said to',
  async (t) => {
    const counter = defineProcessor({
      group: 'goka',
      hasher: 'fnv1a',
      inputs: { clicks: topic('prod.clicks', string) },
      table: int64,
      loop: int64,
      outputs: { plain: topic('plain', string, { hasher: 'murmur2' }), other: string },
      on: {
        clicks(ctx, friend) {
          ctx.emit('plain', ctx.key, 'x')
          ctx.emit('other', ctx.key, 'x')
          ctx.loopback(friend, 1)
        },
      },
      onLoop: (ctx, n) => ctx.set((ctx.get() ?? 0n) + n),
    })
    const reader = defineProcessor({
      inputs: { plain: topic('plain', string) },
      table: string,
      on: { plain: (ctx, value) => ctx.set(value) },
    })
    await using host = await testHost({ counter, reader }, { partitions: 10, namespace: 'ns.' })
    // Placed as Goka places them: 3, 2 and 8 of 10.
    t.equal((await host.emit('clicks', 'key1', 'key2')).partition, 3)
    t.equal((await host.emit('clicks', 'key2', 'user-3')).partition, 2)
    t.equal((await host.emit('clicks', 'key-4393643603', 'key2')).partition, 8)
    await host.settled()
    t.equal(host.table('counter').get('key2'), 2n)
    t.equal(host.table('counter').get('user-3'), 1n)
    t.equal(host.table('reader').get('key1'), 'x', 'a stream of another hasher is found by it')
    const placesIn = (stream: 'other' | 'plain') =>
      Object.fromEntries(
        host
          .stream(stream)
          .records()
          .map(({ key, partition }) => [key, partition]),
      )
    t.same(placesIn('other'), { key1: 3, key2: 2, 'key-4393643603': 8 })
    t.not(placesIn('plain').key1, 3, 'murmur2 has another place for it')
  },
)

t.test('functions that do not agree on a stream are refused, with both named', async (t) => {
  const on = { clicks() {} }
  const goka = defineProcessor({ hasher: 'fnv1a', inputs: { clicks: string }, on })
  const plain = defineProcessor({ inputs: { clicks: string }, on })
  const elsewhere = defineProcessor({ inputs: { clicks: topic('x', string) }, on })
  await t.rejects(testHost({ goka, plain }), {
    name: 'TypeError',
    message: /plain cannot run beside goka.*by murmur2 in plain and by fnv1a in goka/,
  })
  await using host = await testHost({ plain, other: plain })
  await t.rejects(host.swap({ other: elsewhere }), { name: 'TypeError', message: /other.*plain/ })
  await host.swap({ plain: elsewhere, other: elsewhere })
  t.match(host.function('other'), { state: 'running' }, 'both at once may')
})
