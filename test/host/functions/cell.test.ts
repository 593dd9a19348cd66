// A function as the main thread holds it, when its thread, its store or its bundle fails it.
import { existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openEmbeddedLog } from '#host/log/embedded/log.js'
import { type HostUnderTest, testHost } from '../../support/host.js'
import { until } from '../../support/until.js'

/** Counts by key, as often as `step`; runs `handle` before, `load` when it is loaded. */
const count = ({ step = 1, handle = '', load = '' } = {}) => `
import { writeFileSync } from 'node:fs'
import { workerData } from 'node:worker_threads'
import { defineProcessor, json } from 'millrace'
const isProbe = workerData?.edges === undefined
void [writeFileSync, isProbe]
${load}
export default defineProcessor({
  inputs: { clicks: json<string>() },
  table: json<number>(),
  on: {
    clicks(ctx, click) {
      ${handle}
      ctx.set((ctx.get() ?? 0) + ${step})
    },
  },
})`

/** Tells the test by a file that it has come here. */
const mark = (host: HostUnderTest, name: string) =>
  `writeFileSync(${JSON.stringify(join(host.root, name))}, '')`
const marked = (host: HostUnderTest, name: string) =>
  until(`${name} was reached`, () => existsSync(join(host.root, name)))

const quick = { MILLRACE_LIMITS_DRAIN_MS: '200' }

/** A host whose function counts, and is now in a handler that never returns. */
async function stuckHost(t: Test): Promise<{ host: HostUnderTest; token: string }> {
  const host = await testHost(t, { functions: { 'counter.ts': count() }, env: quick })
  host.save(
    'counter.ts',
    count({ handle: `if (click === 'hang') { ${mark(host, 'hangs')}; for (;;) {} }` }),
  )
  await host.untilStatus('counter', ({ swaps }) => swaps === 1)
  await host.view('counter', 'ada', await host.emit('clicks', 'ada', 'fine'))
  const token = await host.emit('clicks', 'ada', 'hang')
  await marked(host, 'hangs')
  return { host, token }
}

t.test('a save is taken though the running handler never returns', async (t) => {
  const { host, token } = await stuckHost(t)
  host.save('counter.ts', count({ step: 10 }))
  t.equal(await host.view('counter', 'ada', token), 11, 'and it takes the record up, once')
  t.match(await host.status('counter'), { state: 'running', swaps: 2, error: null })
  t.match(host.lines.join(''), /did not come to a record boundary within 200 ms/)
})

t.test('a host stops though a save waits for a handler that never returns', async (t) => {
  const { host, token } = await stuckHost(t)
  host.save('counter.ts', count({ step: 10, load: `if (isProbe) ${mark(host, 'probed')}` }))
  await marked(host, 'probed')
  await host.stop()
  await host.start()
  t.equal(await host.view('counter', 'ada', token), 11)
})

t.test('a bundle that hangs at load in the thread alone makes room for the next', async (t) => {
  const host = await testHost(t, { functions: { 'counter.ts': count() }, env: quick })
  host.save('counter.ts', count({ load: 'if (!isProbe) for (;;) {}' }))
  await host.untilStatus('counter', ({ swaps }) => swaps === 1)
  host.save('counter.ts', count({ step: 5 }))
  await host.untilStatus('counter', ({ swaps }) => swaps === 2)
  t.equal(await host.view('counter', 'ada', await host.emit('clicks', 'ada', 'x')), 5)
})

const stores = (host: HostUnderTest) => join(host.root, '.millrace', 'tables')
const viewStatus = async (host: HostUnderTest, key = 'ada') =>
  (await host.get(`/views/counter/${key}`)).status

t.test('a partition that could not be opened is not served, and not shown as halted', async (t) => {
  const host = await testHost(t, { functions: { 'counter.ts': count() }, env: quick })
  await host.view('counter', 'ada', await host.emit('clicks', 'ada', 'x'))
  await host.stop()
  const log = await openEmbeddedLog({
    path: join(host.root, '.millrace', 'log'),
    sync: false,
    maxQueuedBytes: 1_000_000,
    maxRecordBytes: 1_000_000,
    onFailure: (error) => t.error(error),
  })
  await log.remove(['clicks'])
  await log[Symbol.asyncDispose]()
  await host.start()
  const { partitions } = await host.untilStatus('counter', 'halted')
  t.ok(partitions.every(({ state }) => state === 'recovering'))
  t.match(await host.get('/views/counter/ada'), {
    status: 503,
    body: { error: { code: 'RECOVERING' } },
  })
})

t.test('a table whose store does not open is known, and opened as soon as it can be', async (t) => {
  const host = await testHost(t, { functions: { 'counter.ts': count() }, env: quick })
  const token = await host.emit('clicks', 'ada', 'x')
  await host.view('counter', 'ada', token)
  await host.stop()
  const store = join(stores(host), 'counter')
  renameSync(store, `${store}.away`)
  writeFileSync(store, 'a file where the folder should be')
  await host.start()
  t.match(await host.get('/views/counter/ada'), {
    status: 503,
    body: { error: { code: 'RECOVERING' } },
  })
  t.match(await host.status('counter'), { state: 'loading', error: { code: 'STORE_FAILED' } })
  rmSync(store)
  renameSync(`${store}.away`, store)
  t.match(await host.untilStatus('counter', 'running'), { error: null })
  t.equal(await host.view('counter', 'ada', token), 1)
})

const twoInputs = count({ step: 100 })
  .replace('inputs: {', 'inputs: { taps: json<string>(),')
  .replace('on: {', 'on: { taps() {},')

t.test('while a save with other inputs takes over, readers are told to come again', async (t) => {
  const host = await testHost(t, { functions: { 'counter.ts': count() } })
  await host.view('counter', 'ada', await host.emit('clicks', 'ada', 'x'))
  const seen = new Set<number>()
  for (const source of [twoInputs, count(), twoInputs, count()]) {
    const inputs = source === twoInputs ? 2 : 1
    host.save('counter.ts', source)
    for (let isThere = false; !isThere; ) {
      seen.add(await viewStatus(host))
      const status = await host.status('counter')
      isThere = status?.state === 'running' && status.partitions[0]?.inputs.length === inputs
    }
  }
  seen.delete(503)
  t.same([...seen], [200])
  t.match(await host.status('counter'), { records: 1 }, 'what was counted stays counted')
})

t.test('the records of a thread that died stay counted', async (t) => {
  const die = `if (click === 'die') { setImmediate(() => { throw new Error('in a timer') }); return new Promise(() => {}) }`
  const host = await testHost(t, { functions: { 'counter.ts': count({ handle: die }) } })
  await host.view('counter', 'ada', await host.emit('clicks', 'ada', 'x'))
  const token = await host.emit('clicks', 'ada', 'die')
  await host.untilStatus('counter', ({ error }) => error?.code === 'WORKER_DIED')
  host.save('counter.ts', count())
  await host.view('counter', 'ada', token)
  t.match(await host.status('counter'), { records: 2 })
})

t.test('a damaged store is set aside, and the table rebuilt from the log', async (t) => {
  const host = await testHost(t, { functions: { 'counter.ts': count() }, env: quick })
  const keys = Array.from({ length: 100 }, (_, each) => `key-${each}`)
  await host.emitAll(
    'clicks',
    keys.map((key) => ({ key, value: 'x' })),
  )
  const store = join(stores(host), 'counter')
  for (const damaged of ['CURRENT', 'MANIFEST-', '.ldb']) {
    const token = await host.emit('clicks', 'key-0', 'x')
    await host.view('counter', 'key-0', token)
    await host.stop()
    // What was in LevelDB's own log goes into a file of its table at the next opening.
    await host.start()
    await host.stop()
    const files = readdirSync(store).filter((name) => name.includes(damaged))
    t.not(files.length, 0)
    for (const file of files) writeFileSync(join(store, file), 'garbage\n'.repeat(100))
    await host.start()
    await host.untilStatus('counter', 'running')
    for (const key of keys.slice(1)) t.equal(await host.view('counter', key), 1, key)
  }
  t.equal(await host.view('counter', 'key-0'), 4)
  const aside = readdirSync(stores(host)).filter((name) => /^counter\.damaged-[\w.-]+$/.test(name))
  t.equal(aside.length, 3)
  for (const name of aside) t.match(host.lines.join(''), `set aside as ${join(stores(host), name)}`)
})
