// What each change of a function's file does to the function that runs: all but what is stored.
import t from 'tap'
import { click, count } from '../support/counter.js'
import { testHost } from '../support/host.js'
import { until } from '../support/until.js'

t.test('all but inputs and table is swapped in the running thread', async (t) => {
  const host = await testHost(t, { functions: { 'counter.ts': count() } })
  const { thread } = await click(host)
  const rows: [what: string, source: string][] = [
    ['a handler', count({ step: 2 })],
    ['retry', count({ extra: 'retry: { attempts: 7 },' })],
    ['onError', count({ extra: `onError: 'skip',` })],
    ['tombstones', count({ extra: `tombstones: 'process',` })],
    ['an output that comes', count({ extra: 'outputs: { totals: int64 },' })],
    ['other outputs', count({ extra: 'outputs: { sums: int64, totals: string },' })],
    ['outputs in another order', count({ extra: 'outputs: { totals: string, sums: int64 },' })],
    ['an output that goes', count()],
    ['the schema of an input', count({ inputs: 'clicks: json(z.string().min(1)),' })],
    ['the codec of an input', count({ inputs: 'clicks: string,' })],
    [
      'the schema of the table, which takes what is stored',
      count({ table: 'json(z.object({ count: z.number().min(0), thread: z.number() }))' }),
    ],
  ]
  let counted = 1
  for (const [index, [what, source]] of rows.entries()) {
    host.save('counter.ts', source)
    await host.untilStatus('counter', ({ swaps }) => swaps === index + 1)
    counted += what === 'a handler' ? 2 : 1
    t.same(await click(host), { count: counted, thread }, what)
  }
  t.match(await host.status('counter'), { swaps: rows.length, error: null, records: counted - 1 })
  const lines = host.lines.filter((line) => line.includes('"msg":"running"'))
  t.equal(lines.length, 1, 'nothing was opened anew')
})

t.test('outputs that were declared by a swap can be emitted to, and are streams', async (t) => {
  const host = await testHost(t, { functions: { 'counter.ts': count() } })
  await click(host)
  host.save(
    'counter.ts',
    count({
      set: `ctx.emit('totals', ctx.key, 7n)`,
      extra: 'outputs: { totals: int64 },',
    }),
  )
  host.save(
    'sum.ts',
    `import { defineProcessor, int64 } from 'millrace'
     export default defineProcessor({
       inputs: { totals: int64 },
       table: int64,
       on: { totals: (ctx, n) => ctx.set((ctx.get() ?? 0n) + n) },
     })`,
  )
  await host.untilStatus('counter', ({ swaps }) => swaps === 1)
  await host.untilStatus('sum', 'running')
  t.equal(await host.view('sum', 'ada', await host.emit('clicks', 'ada', 'x')), 7)
})

const both = count({
  inputs: 'clicks: json<string>(), taps: json<string>(),',
  on: 'taps(ctx) { ctx.set({ count: (ctx.get()?.count ?? 0) + 1000, thread: threadId }) },',
})

t.test('other inputs are joined anew under load, and each record counts once', async (t) => {
  // A second reader of both keeps the streams known while the first does not read them.
  const host = await testHost(t, { functions: { 'counter.ts': both, 'witness.ts': both } })
  const keys = ['ada', 'bob', 'cleo', 'dan', 'eve']
  const posted = { clicks: 0, taps: 0 }
  const tokens: string[] = []
  let isOver = false
  const load = async (stream: keyof typeof posted) => {
    while (!isOver) {
      tokens.push(
        await host.emitAll(
          stream,
          keys.map((key) => ({ key, value: 'x' })),
        ),
      )
      posted[stream] += 1
    }
  }
  const loads = [load('clicks'), load('taps')]
  for (let round = 0; round < 6; round += 1) {
    const inputs = round % 2 === 0 ? 1 : 2
    const before = posted.clicks
    host.save('counter.ts', inputs === 1 ? count() : both)
    await host.untilStatus(
      'counter',
      ({ state, partitions }) => state === 'running' && partitions[0]?.inputs.length === inputs,
    )
    await host.untilStatus('witness', () => posted.clicks > before)
  }
  isOver = true
  await Promise.all(loads)
  const after = tokens.map((token) => `after=${token}`).slice(-10)
  await host.get(`/views/counter?timeoutMs=60000&${after.join('&')}`)
  for (const key of keys) {
    t.match(await host.view('counter', key), { count: posted.clicks + 1000 * posted.taps }, key)
  }
  t.match(await host.status('counter'), { error: null })
})

t.test('a table that is left out for a while has its values when it is back', async (t) => {
  const host = await testHost(t, { functions: { 'counter.ts': count() } })
  await click(host)
  host.save('counter.ts', count({ table: 'undefined', set: '' }))
  await until('it has no table', () => host.host.catalog.table('counter') === undefined)
  const token = await host.emit('clicks', 'ada', 'x')
  await until('the record is handled', async () => {
    const status = await host.status('counter')
    return status?.state === 'running' && status.lag === 0
  })
  t.ok(token)
  host.save('counter.ts', count())
  await until('it has one again', () => host.host.catalog.table('counter') !== undefined)
  t.match(await click(host), { count: 2 }, 'what came meanwhile was not counted')
})
