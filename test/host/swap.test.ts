// What each change of a function's file does to the function that runs: the rows of the table of swaps, one by one.
import t from 'tap'
import { HostUnderTest, testHost } from '../support/host.js'
import { until } from '../support/until.js'

const setStep = (step: number) =>
  `ctx.set({ count: (ctx.get()?.count ?? 0) + ${step}, thread: threadId })`

/** Counts by key; the value says which thread has handled the record, and by what code. */
const count = ({
  step = 1,
  table = 'json<{ count: number; thread: number }>()',
  inputs = 'clicks: json<string>(),',
  on = '',
  set = setStep(step),
  extra = '',
} = {}) => `
import { threadId } from 'node:worker_threads'
import { defineProcessor, int64, json, string } from 'millrace'
import { z } from 'zod'
void [int64, json, string, threadId, z]
export default defineProcessor({
  inputs: { ${inputs} },
  table: ${table},
  on: {
    clicks(ctx, click) { ${set} },
    ${on}
  },
  ${extra}
})`

const click = async (host: HostUnderTest, key = 'ada') =>
  Object(await host.view('counter', key, await host.emit('clicks', key, 'x')))

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

const checked = (fields: string) => `json(z.object({ ${fields} }))`

t.test('a table codec that does not take what is stored is refused', async (t) => {
  const host = await testHost(t, { functions: { 'counter.ts': count() } })
  await click(host)
  await click(host, 'bob')
  const { version } = await host.untilStatus('counter', 'running')
  host.save('counter.ts', count({ table: checked('count: z.number(), since: z.number()') }))
  const refused = await host.untilStatus('counter', ({ error }) => error !== null)
  t.match(refused, {
    version,
    state: 'running',
    swaps: 0,
    error: {
      code: 'TABLE_MISMATCH',
      message:
        /2 of 2 values .*the key "(ada|bob)" \(partition \d\): .*since.*migrate: \{ from, to \}.*revision/,
      line: 6,
      frame: /defineProcessor/,
    },
  })
  t.match(await click(host), { count: 2 }, 'the running version goes on')

  host.save('counter.ts', count({ table: 'json<{ count: number }>()', step: 5 }))
  t.match(await host.untilStatus('counter', ({ swaps }) => swaps === 1), { error: null })
  t.match(await click(host), { count: 7 })
})

const migrating = (extra: string) =>
  count({
    table: checked(
      'total: z.number().max(1000), thread: z.number(), unit: z.string().default("pcs")',
    ),
    set: 'ctx.set({ total: (ctx.get()?.total ?? 0) + 1, thread: threadId })',
    extra,
  })
const migrate = `migrate: {
  from: json<{ count: number; thread: number }>(),
  to: (old) => ({ total: old.count * 100, thread: old.thread }),
},`

t.test('migrate makes new values of the stored ones, for handlers and views', async (t) => {
  const host = await testHost(t, { functions: { 'counter.ts': count() } })
  const { thread } = await click(host)
  await click(host, 'bob')
  host.save('counter.ts', migrating(migrate))
  await host.untilStatus('counter', ({ swaps }) => swaps === 1)
  t.same(await host.view('counter', 'bob'), { total: 100, thread }, 'as if it had been set so')
  t.same(await click(host), { total: 101, thread }, 'in the same thread')
  t.same(await click(host), { total: 102, thread })
  t.match(await host.get('/views/counter'), {
    body: { entries: [{ value: { total: 102 } }, { value: { total: 100 } }] },
  })

  await host.stop()
  await host.start()
  await host.untilStatus('counter', 'running')
  t.match(await host.view('counter', 'bob'), { total: 100 }, 'also after a restart')
  t.match(await click(host, 'bob'), { total: 101 })

  host.save('counter.ts', migrating(''))
  await host.untilStatus('counter', ({ swaps, error }) => swaps === 1 && error === null)
  t.match(await host.view('counter', 'bob'), { total: 101 }, 'no longer needed')
})

t.test('what the sample did not show halts at the record that needs it', async (t) => {
  const env = { MILLRACE_LIMITS_PROBE_VALUES: '1', MILLRACE_LOG_PARTITIONS: '1' }
  const source = count({ set: `ctx.set({ count: ctx.key === 'bob' ? 'many' : 1, thread: 0 })` })
  const host = await testHost(t, { functions: { 'counter.ts': source }, env })
  await click(host)
  await click(host, 'bob')
  const strict = count({ table: checked('count: z.number(), thread: z.number()') })
  host.save('counter.ts', strict)
  const { version } = await host.untilStatus('counter', ({ swaps }) => swaps === 1)
  t.match(await click(host), { count: 2 })
  const token = await host.emit('clicks', 'bob', 'x')
  t.match(await host.untilStatus('counter', 'halted'), {
    version,
    swaps: 1,
    error: { code: 'UNDECODABLE', key: 'bob', offset: 3, message: /count/ },
  })
  t.match(await host.view('counter', 'bob'), { count: 'many' }, 'it is served as it is stored')

  host.save(
    'counter.ts',
    strict.replace(
      'on: {',
      `migrate: { from: json(), to: () => ({ count: 40, thread: 0 }) }, on: {`,
    ),
  )
  t.match(await host.view('counter', 'bob', token), { count: 41 }, 'the record counts once')
  t.match(await host.status('counter'), { state: 'running', swaps: 2, error: null, records: 4 })
})

t.test('another revision begins anew, and the former one is kept', async (t) => {
  const emitting = (extra = '') =>
    count({
      table: 'int64',
      set: `ctx.set((ctx.get() ?? 0n) + 1n); ctx.emit('counted', ctx.key, 1)`,
      extra: `outputs: { counted: json<number>() }, ${extra}`,
    })
  const host = await testHost(t, {
    functions: {
      'counter.ts': emitting(),
      'sum.ts': `import { defineProcessor, json } from 'millrace'
        export default defineProcessor({
          inputs: { counted: json<number>() },
          table: json<number>(),
          on: { counted: (ctx, n) => ctx.set((ctx.get() ?? 0) + n) },
        })`,
    },
  })
  const emit = () => host.emit('clicks', 'ada', 'x')
  const groupOf = () =>
    host.host.catalog.descriptions().find(({ name }) => name === 'counter')?.group
  for (let n = 0; n < 3; n += 1) await emit()
  t.equal(await host.view('sum', 'ada', await emit()), 4)

  host.save(
    'counter.ts',
    emitting('revision: 2,')
      .replace('int64,\n', 'json<string>(),\n')
      .replace(/ctx\.set\(.*?1n\)/, `ctx.set((ctx.get() ?? '') + '|')`),
  )
  await until('the revision runs', () => groupOf() === 'counter.2')
  t.equal(await host.view('counter', 'ada', await emit()), '|||||', 'from the oldest record on')
  t.equal(await host.view('sum', 'ada', await emit()), 10, 'what it emits is emitted again')
  await host.stop()
  await host.start()
  await host.untilStatus('counter', 'running')
  t.equal(await host.view('counter', 'ada', await emit()), '|||||||', 'begun once only')
  t.equal(await host.view('sum', 'ada', await emit()), 12)

  host.save('counter.ts', emitting())
  await until('the former one runs', () => groupOf() === 'counter')
  t.equal(await host.view('counter', 'ada', await emit()), 9, 'it goes on where it was')
  t.match(await host.status('counter'), { error: null })
})

t.test('a namespace has functions of its own, in the same folders', async (t) => {
  const host = await testHost(t, { functions: { 'counter.ts': count() } })
  await click(host)
  await host.stop()
  const other = new HostUnderTest(host.root, {
    functions: {},
    env: { MILLRACE_NAMESPACE: 'test.' },
  })
  t.teardown(() => other.stop())
  await other.start()
  t.match(await click(other), { count: 1 }, 'nothing was counted here yet')
  await other.stop()
  await host.start()
  t.match(await click(host), { count: 2 })
  t.notMatch(host.lines.join(''), /rebuilt from the log/, 'its table was left alone')
})
