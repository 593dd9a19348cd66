// A function's thread as the main thread holds it: what its answers mean, and what starts it anew.
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { HostError } from '#host/errors.js'
import type { HeldTable } from '#host/functions/held-table.js'
import { KeptThread, type KeptThreadOptions } from '#host/functions/kept-thread.js'
import { LocalTable } from '#host/functions/local-table.js'
import { FunctionWorker, type ThreadOptions } from '#host/functions/thread.js'
import { createLogger } from '#host/logger.js'
import { Progress } from '#host/processor/progress.js'
import { createMemoryStore } from '#host/tables/memory.js'
import type { TableStore } from '#host/tables/store.js'
import { createTableView } from '#host/tables/view.js'
import { testFolder } from '../../support/folder.js'
import { until } from '../../support/until.js'

/** A thread that answers each request as told, and counts its answers where the main thread sees them. */
const entry = (reply: string) =>
  new URL(
    `data:text/javascript,${encodeURIComponent(`
      import { parentPort, workerData } from 'node:worker_threads'
      const answers = new Int32Array(workerData.progress)
      parentPort.postMessage({ kind: 'listening' })
      parentPort.on('message', ({ id, kind }) => {
        parentPort.postMessage({ kind: 'reply', id, ${reply} })
        Atomics.add(answers, 0, 1)
        Atomics.notify(answers, 0)
        if (kind === 'drain') parentPort.close()
      })`)}`,
  )

function threadOptions(reply = '') {
  const { shared } = Progress.allocate(1, 1)
  const start: ThreadOptions['start'] = {
    bundle: { name: 'counter', file: '/counter.ts', version: 'v1', code: '' },
    edges: {
      function: 'counter',
      group: 'counter',
      partitions: 1,
      hasher: 'murmur2',
      inputs: [],
      outputs: [],
      table: null,
      loop: null,
      joins: [],
      lookups: [],
    },
    options: {
      onError: 'halt',
      retry: { attempts: 1, backoffMs: 1 },
      onDataLoss: 'halt',
      tombstones: 'ignore',
      concurrency: 1,
      delivery: 'exactly-once',
    },
    store: null,
    notesPath: '/counter.inputs.json',
    progress: shared,
    isPaused: false,
    settings: {
      flush: { intervalMs: 1, maxIntervalMs: 10, maxBytes: 1_000, maxUnfinished: 10 },
      cacheBytes: 1_000,
      maxRecordBytes: 1_000,
      attemptGraceMs: 100,
      tombstoneRetentionMs: 1_000_000,
      cleanupDelayMs: 1_000_000,
    },
  }
  const log: ThreadOptions['log'] = { description: { kind: 'embedded' }, transfer: [] }
  return { answers: new Int32Array(shared), of: { entry: entry(reply), start, log } }
}

for (const [what, reply] of [
  ['an answer', ''],
  ['a refusal', "error: { name: 'HostError', code: 'LOAD_FAILED', message: 'no' }"],
] as const) {
  t.test(`${what} that crosses the time-out counts as late: the thread is gone`, async (t) => {
    const { answers, of } = threadOptions(reply)
    const quiet = {
      loadMs: 10_000,
      onMessage: () => {},
      onListening: () => {},
      onUnheard: () => {},
    }
    const onDeath = (error: HostError) => t.fail(`a death that was expected: ${error.message}`)
    const worker = new FunctionWorker({ ...of, ...quiet, onDeath })
    const outcome = worker.askWithin({ kind: 'pause' }, 1)
    // Timers come before messages: both are due when this returns.
    Atomics.wait(answers, 0, 0)
    for (const start = Date.now(); Date.now() - start < 5; );
    t.equal(await outcome, 'late')
    await t.rejects(worker.ask({ kind: 'resume' }), { code: 'WORKER_DIED' })
  })
}

function keptThread(t: Test, given: Partial<KeptThreadOptions>) {
  const { of } = threadOptions()
  const failures: string[] = []
  const lines: string[] = []
  const stream = { write: (text: string) => void lines.push(text) }
  const logger = createLogger({ level: 'info', format: 'json', stream })
  const thread = new KeptThread({
    table: undefined,
    drainMs: 10_000,
    loadMs: 10_000,
    logger,
    mayStart: () => true,
    start: () => of,
    hear: () => {},
    listens: () => {},
    failed: ({ what }) => void failures.push(what),
    ...given,
  })
  t.teardown(() => thread[Symbol.asyncDispose]())
  return { thread, failures, of, logger, lines }
}

t.test('what fails when a thread is made is tried again, as all else', async (t) => {
  let tries = 0
  const { of } = threadOptions()
  const start = () => {
    tries += 1
    if (tries === 1) throw new HostError('LOG_FAILED', 'the log is closed')
    return of
  }
  const { thread, failures } = keptThread(t, { start })
  await thread.launch()
  t.same(failures, ['its thread cannot be started'])
  await until('it runs', () => thread.isThere)
})

/** Starts, and neither listens nor ends before the first byte of `progress` is set. */
const slow = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort, workerData } from 'node:worker_threads'
    const go = new Int32Array(workerData.progress)
    Atomics.wait(go, 0, 0)
    parentPort.on('message', ({ id, kind }) => {
      if (kind === 'assign') parentPort.postMessage({ kind: 'reply', id, error: { name: 'Error', message: 'no' } })
      else parentPort.postMessage({ kind: 'log', level: 'info', message: kind, fields: '{}' })
      parentPort.postMessage({ kind: 'reply', id })
      if (kind === 'drain') parentPort.close()
    })
    parentPort.postMessage({ kind: 'listening' })`)}`,
)

t.test('what is asked of a thread that starts is as good as done, but for a swap', async (t) => {
  const { of, answers } = threadOptions()
  const heard: unknown[] = []
  const { thread, failures } = keptThread(t, {
    start: () => ({ ...of, entry: slow }),
    drainMs: 500,
    hear: (message) => void heard.push(message.kind === 'log' && message.message),
    listens: () => void heard.push('listens'),
  })
  await thread.launch()
  t.equal(await thread.ask({ kind: 'pause' }), 'done')
  t.ok(thread.isStarting)
  t.equal(await thread.ask({ kind: 'resume' }), 'done')
  Atomics.store(answers, 0, 1)
  Atomics.notify(answers, 0)
  await until('it has heard', () => heard.length === 3)
  t.same(heard, ['listens', 'pause', 'resume'])
  thread.tell({ kind: 'assign', partitions: [0], kept: [], standbys: [] })
  await until('it is replaced, since it refuses', () => failures.length > 0)
  t.same(failures, ['its thread refuses to go on'])

  Atomics.store(answers, 0, 0)
  await until('another starts', () => thread.isStarting)
  const { bundle, edges, options } = of.start
  t.equal(await thread.swap({ bundle, edges, options }), 'unheard')
  t.notOk(thread.isThere)
})

t.test('that a thread does not come to start is told, and it is waited for', async (t) => {
  const { of, answers } = threadOptions()
  const start = () => ({ ...of, entry: slow })
  const { thread, lines } = keptThread(t, { start, loadMs: 50 })
  await thread.launch()
  await until('it is told', () => lines.some((line) => /has not started within 50 ms/.test(line)))
  t.ok(thread.isStarting)
  Atomics.store(answers, 0, 1)
  Atomics.notify(answers, 0)
  await until('it listens', () => !thread.isStarting)
})

t.test('a second launch ends the thread before', async (t) => {
  const { thread } = keptThread(t, {})
  await thread.launch()
  const before = thread.vitals()?.thread
  await thread.launch()
  t.ok(thread.isThere)
  await until('it listens', () => !thread.isStarting)
  t.not(thread.vitals()?.thread, before)
  t.equal(await thread.ask({ kind: 'pause' }), 'done')
})

t.test('a thread that is being ended wipes nothing that nobody has heard of', async (t) => {
  const { of } = threadOptions()
  const code = `
    import { parentPort } from 'node:worker_threads'
    let drain
    parentPort.on('message', ({ id, kind }) => {
      if (kind === 'drain') {
        drain = id
        parentPort.postMessage({ kind: 'wiping', id: 7, partition: 0 })
        return
      }
      parentPort.postMessage({ kind: 'reply', id: kind === 'heard' && id === 7 ? drain : -1 })
      parentPort.close()
    })`
  const wiping = new URL(`data:text/javascript,${encodeURIComponent(code)}`)
  const heard: string[] = []
  const table: HeldTable = {
    view: createTableView(createMemoryStore(), 1),
    open: async () => {},
    close: async () => {},
    stored: () => undefined,
    start: () => ({ store: null }),
    wiping: () => void heard.push('interrupted'),
    [Symbol.asyncDispose]: async () => {},
  }
  const { thread } = keptThread(t, {
    table,
    start: () => ({ ...of, entry: wiping }),
    drainMs: 5_000,
    hear: ({ kind }) => void heard.push(kind),
  })
  await thread.launch()
  await thread.end()
  t.same(heard, ['interrupted', 'wiping'])
})

function damagedStore(): TableStore {
  const store = createMemoryStore()
  const get = () => {
    throw new HostError('STORE_DAMAGED', 'a block of it is not what was written')
  }
  store.partition = (number) => {
    const sound = createMemoryStore().partition(number)
    sound.get = get
    return sound
  }
  return store
}

t.test('the damaged table of a function that may not run is opened anew without it', async (t) => {
  let opened = 0
  const { logger } = keptThread(t, {})
  const table: LocalTable = new LocalTable({
    name: 'counter',
    path: join(testFolder(t, { counter: {} }), 'counter'),
    partitions: 1,
    logger,
    openStore: async () => {
      opened += 1
      return opened === 1 ? damagedStore() : createMemoryStore()
    },
    damaged: (error) => thread.reopen(error),
  })
  const start = () => {
    t.fail('a thread was started')
    return threadOptions().of
  }
  const { thread, failures } = keptThread(t, { table, mayStart: () => false, start })
  await table.open()
  t.throws(() => table.view.get(0, Buffer.from('ada')), { code: 'STORE_DAMAGED' })
  await until('the table is read again', () => {
    try {
      return table.view.get(0, Buffer.from('ada')) === undefined && opened === 2
    } catch {
      return false
    }
  })
  t.same(failures, ['its table has to be opened anew'])
  t.notOk(thread.isThere)
})
