// A save whose table is of another kind: refused, migrated, or begun anew; and what has a table of its own.
import t from 'tap'
import { click, count } from '../support/counter.js'
import { testHost } from '../support/host.js'
import { until } from '../support/until.js'

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
