// A function as the main thread holds it, when its thread, its store or its bundle fails it.
import { existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { HostError } from '#host/errors.js'
import { LiveCatalog } from '#host/functions/live-catalog.js'
import { Registry } from '#host/functions/registry.js'
import { openEmbeddedLog } from '#host/log/embedded/log.js'
import { createLogger } from '#host/logger.js'
import { settlesWithin } from '#host/within.js'
import { type HostUnderTest, testHost } from '../../support/host.js'
import { until } from '../../support/until.js'
import { createProject, projectLog, registryOptions } from './project.js'

/** Counts by key, as often as `step`; runs `handle` before, `load` when it is loaded. */
const count = ({ step = 1, handle = '', load = '' } = {}) => `
import { existsSync, writeFileSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { defineProcessor, json } from 'millrace'
const isProbe = workerData?.edges === undefined
void [existsSync, parentPort, writeFileSync, isProbe]
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

/** What the thread itself says when its store, or its log, fails it. */
const say = (kind: string, code: string) =>
  `parentPort.postMessage({ kind: '${kind}', partition: 0, error: { name: 'HostError', code: '${code}', message: 'no space' } })`

/** The code with which a read of the store itself fails; undefined: it does not. */
function readError(host: HostUnderTest): string | undefined {
  try {
    void host.host.catalog.table('counter')?.view.get(0, Buffer.from('ada'))
    return undefined
  } catch (error) {
    return error instanceof HostError ? error.code : 'INTERNAL'
  }
}

t.test(
  'a store that keeps refusing is closed and opened anew, and read before and after',
  async (t) => {
    const handle = `if (click === 'sick') ${say('detached', 'STORE_FAILED')}`
    const host = await testHost(t, { functions: { 'counter.ts': count({ handle }) }, env: quick })
    await host.view('counter', 'ada', await host.emit('clicks', 'ada', 'x'))
    const token = await host.emit('clicks', 'ada', 'sick')
    await until('the table is closed', () => readError(host) === 'RECOVERING')
    t.match(await host.status('counter'), { state: 'recovering', error: { code: 'STORE_FAILED' } })
    t.match(await host.get('/views/counter/ada?stale=ok'), {
      status: 503,
      body: { error: { code: 'RECOVERING' } },
    })
    t.equal(await host.view('counter', 'ada', token), 2)
    t.match(await host.untilStatus('counter', 'running'), { error: null, records: 2 })
    t.equal(readError(host), undefined)
  },
)

t.test('whatever a function logs, or posts to its thread, harms nobody', async (t) => {
  const handle = `
    ctx.log.info('nothing', { toJSON: () => undefined })
    ctx.log.info('a circle', (() => { const round = {}; round.round = round; return round })())
    for (const message of [null, undefined, 1, 'x', {}]) parentPort.postMessage(message)`
  const host = await testHost(t, { functions: { 'counter.ts': count({ handle }) }, env: quick })
  t.equal(await host.view('counter', 'ada', await host.emit('clicks', 'ada', 'x')), 1)
  t.match(await host.status('counter'), { state: 'running', error: null })
})

t.test('who holds a table whose function is gone is refused', async (t) => {
  const host = await testHost(t, { functions: { 'counter.ts': count() }, env: quick })
  await host.view('counter', 'ada', await host.emit('clicks', 'ada', 'x'))
  const table = host.host.catalog.table('counter')
  const pages = table?.view.range()
  host.remove('counter.ts')
  await until('it has stopped', () => host.lines.some((line) => line.includes('its file is gone')))
  t.throws(() => table?.view.get(0, Buffer.from('ada')), { code: 'RECOVERING' })
  t.throws(() => table?.view.range(), { code: 'RECOVERING' })
  t.notOk(table?.isServing(0))
  const read = async () => {
    for await (const page of pages ?? []) t.ok(page)
  }
  await t.rejects(read(), { code: 'STORE_FAILED' }, 'an open range ends with an error')
})

t.test('a thread that cannot open its log is started again, without a save', async (t) => {
  const host = await testHost(t, { functions: {}, env: quick })
  const first = JSON.stringify(join(host.root, 'first'))
  const load = `if (!isProbe && !existsSync(${first})) { writeFileSync(${first}, ''); ${say('unstartable', 'LOG_FAILED')} }`
  host.save('counter.ts', count({ step: 5, load }))
  await until('it was said', () => host.lines.some((line) => line.includes('cannot start')))
  t.equal(await host.view('counter', 'ada', await host.emit('clicks', 'ada', 'x')), 5)
  t.match(await host.untilStatus('counter', 'running'), { error: null })
})

t.test('a bundle that throws in its thread waits for a save', async (t) => {
  const host = await testHost(t, { functions: {}, env: quick })
  host.save('counter.ts', count({ load: `if (!isProbe) throw new Error('not here')` }))
  t.match(await host.untilStatus('counter', 'halted'), { error: { message: /not here/ } })
  t.match(host.lines.join(''), /cannot start until a mended version is saved/)
  host.save('counter.ts', count())
  t.match(await host.untilStatus('counter', 'running'), { error: null })
  t.equal(await host.view('counter', 'ada', await host.emit('clicks', 'ada', 'x')), 1)
})

t.test('a save with other inputs comes in the place of one that still waits to join', async (t) => {
  const project = createProject(t)
  const logger = createLogger({ level: 'silent', format: 'json' })
  await using log = await projectLog(t, project)
  const join = log.join.bind(log)
  const steps: string[] = []
  let joined = () => {}
  const hasJoined = new Promise<void>((resolve) => {
    joined = resolve
  })
  /** The first is refused for the moment, and waits for the others when it tries again. */
  log.join = async (options) => {
    const topics = options.topics.join()
    if (topics !== 'clicks') {
      steps.push(`${topics} joins`)
      joined()
      return await join(options)
    }
    steps.push(`${topics} waits`)
    if (steps.length === 1) throw new HostError('BROKER_UNAVAILABLE', 'away')
    await new Promise<void>((resolve) => options.signal?.addEventListener('abort', () => resolve()))
    // It takes its time to get out again: longer than another, which does not wait for it, takes to get in.
    await settlesWithin(hasJoined, 300)
    steps.push(`${topics} is out`)
    throw options.signal?.reason
  }
  await using registry = new Registry(registryOptions({ project, log, logger }))
  using catalog = new LiveCatalog(registry, log)
  await project.write('functions/counter.ts', count())
  await registry.start({ watch: true })
  await until('it waits', () => steps.length === 2)
  await project.write('functions/counter.ts', twoInputs)
  await until('it runs', () => catalog.states().get('counter') === 'running')
  t.same(steps, ['clicks waits', 'clicks waits', 'clicks is out', 'taps,clicks joins'])
})

t.test(
  'when a save with other inputs cannot be started, the version before it goes on',
  async (t) => {
    const project = createProject(t)
    const lines: string[] = []
    const stream = { write: (text: string) => void lines.push(text) }
    const logger = createLogger({ level: 'debug', format: 'json', stream })
    await using log = await projectLog(t, project)
    const join = log.join.bind(log)
    log.join = async (options) => {
      if (!options.topics.includes('taps')) return await join(options)
      throw new HostError('TOPIC_MISMATCH', 'the log refuses the group')
    }
    await using registry = new Registry(registryOptions({ project, log, logger }))
    using catalog = new LiveCatalog(registry, log)
    await project.write('functions/counter.ts', count())
    await registry.start({ watch: true })
    const running = await until('it runs', async () => {
      const status = await catalog.function('counter')
      return status?.state === 'running' ? status : undefined
    })
    await project.write('functions/counter.ts', twoInputs)
    const refused = await until('it is refused', async () => {
      const status = await catalog.function('counter')
      return status?.error?.code === 'TOPIC_MISMATCH' ? status : undefined
    })
    t.equal(refused.version, running.version)
    await until('it runs again', () => catalog.states().get('counter') === 'running')
    t.match(lines.join(''), `the save was refused, version ${running.version} goes on`)

    await project.write('functions/counter.ts', count({ step: 2 }))
    await until(
      'the next save is taken',
      async () => (await catalog.function('counter'))?.error === null,
    )
    t.match(await catalog.function('counter'), { swaps: 1 })
  },
)
