// Tables in memory and in a store of the user's own, in a real host: read over HTTP by way of the thread, over saves, restarts, damage and failures.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type HostUnderTest, testHost } from '../support/host.js'
import { until } from '../support/until.js'

const journal = join(process.cwd(), 'examples/07-store/journal.ts')

interface Edition {
  readonly store: string
  readonly step?: number
  readonly more?: string
}

/** Counts by key, each click as `step`. */
const counter = ({ store, step = 1, more = '' }: Edition) => `
import { defineProcessor, json } from 'millrace'
import { journal } from ${JSON.stringify(journal)}
const memory = 'memory', level = 'level'
export default defineProcessor({
  inputs: { clicks: json<number>() },
  table: json<number>(),
  store: ${store},
  on: {
    clicks(ctx, n) {
      ctx.set((ctx.get() ?? 0) + n * ${step})
    },
  },
  ${more}
})`

const hostOf = (t: Test, source: string) =>
  testHost(t, { functions: { 'counter.ts': source }, env: { MILLRACE_LOG_PARTITIONS: '3' } })

async function listed(host: HostUnderTest, query = ''): Promise<unknown> {
  const { status, body } = await host.get(`/views/counter${query}`)
  return status === 200 ? (body as { entries: unknown }).entries : body
}

const restart = async (host: HostUnderTest) =>
  void (await fetch(`${host.host.url}/functions/counter/restart`, { method: 'POST' }))

const keys = Array.from({ length: 20 }, (_, n) => `key-${String(n).padStart(2, '0')}`)

for (const store of ['memory', 'journal']) {
  t.test(`a table in ${store} is read as any other`, async (t) => {
    const host = await hostOf(t, counter({ store }))
    const token = await host.emitAll('clicks', [
      ...keys.map((key) => ({ key, value: 1 })),
      { key: 'key-07', value: 6 },
    ])
    const all = keys.map((key) => ({ key, value: key === 'key-07' ? 7 : 1 }))
    t.same(await listed(host, `?after=${token}`), all)
    t.equal(await host.view('counter', 'key-07', token), 7)
    t.equal(await host.view('counter', 'key-08'), 1)
    t.equal(await host.view('counter', 'nobody'), undefined)
    t.same(await listed(host, '?prefix=key-1'), all.slice(10))
    t.same(await listed(host, '?from=key-03&to=key-05'), all.slice(3, 5))
    t.same(await listed(host, '?limit=3'), all.slice(0, 3))
    const lines = await fetch(`${host.host.url}/views/counter`, {
      headers: { accept: 'application/x-ndjson' },
    })
    t.same(
      (await lines.text())
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
      all,
    )
    const several = await fetch(`${host.host.url}/views/counter`, {
      method: 'POST',
      body: JSON.stringify({ keys: ['key-07', 'nobody'] }),
    })
    t.same(await several.json(), { 'key-07': 7, nobody: null })
  })

  t.test(`a table in ${store} is whole after a save, a restart and a new host`, async (t) => {
    const host = await hostOf(t, counter({ store }))
    await host.view('counter', 'a', await host.emit('clicks', 'a', 1))
    host.save('counter.ts', counter({ store, step: 10 }))
    await host.untilStatus('counter', ({ swaps, state }) => swaps === 1 && state === 'running')
    t.equal(await host.view('counter', 'a', await host.emit('clicks', 'a', 1)), 11)
    await restart(host)
    t.equal(await host.view('counter', 'a', await host.emit('clicks', 'a', 1)), 21)
    await host.stop()
    await host.start()
    t.equal(await host.view('counter', 'a', await host.emit('clicks', 'a', 1)), 31)
    const files = readdirSync(join(host.root, '.millrace/tables'))
    t.same(files, store === 'memory' ? [] : ['counter.own~'])
  })
}

t.test(
  'another store takes the place of the one before, and nothing old is ever read',
  async (t) => {
    const host = await hostOf(t, counter({ store: 'level' }))
    let sum = 0
    for (const [index, store] of [
      'memory',
      'journal',
      'level',
      'journal',
      'memory',
      'level',
    ].entries()) {
      sum += 1
      t.equal(await host.view('counter', 'a', await host.emit('clicks', 'a', 1)), sum)
      const version = (await host.status('counter'))?.version
      host.save('counter.ts', counter({ store, more: `concurrency: ${index + 2},` }))
      await host.untilStatus(
        'counter',
        (status) => status.version !== version && status.state === 'running',
      )
      t.equal(await host.view('counter', 'a'), sum, `as ${store} has it`)
      const isThere = readdirSync(join(host.root, '.millrace/tables')).includes('counter.own~')
      t.equal(isThere, index > 0, 'the journal is begun when it is asked for')
    }
  },
)

t.test(
  'a save has the store opened by its own version: what the one before had under way has ended',
  async (t) => {
    // A version's timers end with it.
    const slow = `{
    open: async (place) => {
      const right = await journal.open(place)
      const write = async (changes) => {
        await new Promise((resolve) => setTimeout(resolve, 2))
        await right.write(changes)
      }
      return { get: (key) => right.get(key), write, range: (range) => right.range(range), close: () => right.close() }
    },
  }`
    const host = await hostOf(t, counter({ store: slow }))
    for (const step of [2, 3, 4]) {
      await host.view('counter', 'a', await host.emit('clicks', 'a', 1))
      const running = host.emit('clicks', 'a', 1)
      const version = (await host.status('counter'))?.version
      host.save('counter.ts', counter({ store: slow, step }))
      await running
      await host.untilStatus('counter', (status) => status.version !== version)
    }
    const before = Number(await host.view('counter', 'a', await host.emit('clicks', 'a', 0)))
    t.equal(await host.view('counter', 'a', await host.emit('clicks', 'a', 1)), before + 4)
  },
)

t.test('a journal that is damaged is set aside, and its table rebuilt', async (t) => {
  const host = await hostOf(t, counter({ store: 'journal' }))
  await host.view('counter', 'a', await host.emit('clicks', 'a', 5))
  await host.stop()
  const folder = join(host.root, '.millrace/tables/counter.own~')
  const bytes = readFileSync(join(folder, 'journal'))
  bytes[40] = (bytes[40] ?? 0) ^ 1
  writeFileSync(join(folder, 'journal'), bytes)
  await host.start()
  t.equal(await host.view('counter', 'a', await host.emit('clicks', 'a', 1)), 6)
  const [aside, ...others] = readdirSync(join(folder, '..')).filter((name) =>
    name.includes('damaged'),
  )
  t.match(aside, /^counter\.own~\.damaged-/)
  t.same(others, [])
  t.ok(host.lines.some((line) => line.includes('was damaged: it was set aside')))
})

/** The journal; each call fails while there is a file of its name beside the folder. */
const troubled = `{
    async open(place) {
      const at = (what) => { if (existsSync(join(place.folder, '..', what))) throw new Error('no ' + what) }
      at('open')
      const right = await journal.open(place)
      return {
        get: (key) => { at('get'); return right.get(key) },
        write: async (changes) => { at('write'); await right.write(changes) },
        range: (range) => { at('range'); return right.range(range) },
        close: () => right.close(),
      }
    },
  }`

t.test(
  'what a store throws is shown, tried again, and nothing is lost or counted twice',
  async (t) => {
    const host = await hostOf(
      t,
      `import { existsSync } from 'node:fs'
import { join } from 'node:path'
${counter({ store: troubled })}`,
    )
    const file = (what: string) => join(host.root, '.millrace/tables', what)
    let sum = 0
    for (const what of ['get', 'write', 'open']) {
      await host.untilStatus('counter', ({ error, state }) => error === null && state === 'running')
      writeFileSync(file(what), '')
      const token = await host.emit('clicks', `a new key for ${what}`, 1)
      await host.emit('clicks', 'a', 1)
      sum += 1
      if (what === 'open') await restart(host)
      const { error } = await host.untilStatus('counter', (status) => status.error !== null)
      t.match(error, {
        code: 'STORE_FAILED',
        message: new RegExp(`the store of counter could not be .*: no ${what}`),
      })
      rmSync(file(what))
      t.equal(await host.view('counter', `a new key for ${what}`, token), 1, what)
      t.equal(await host.view('counter', 'a', await host.emit('clicks', 'a', 0)), sum, what)
    }
    writeFileSync(file('range'), '')
    t.match(await host.get('/views/counter'), {
      status: 503,
      body: { error: { code: 'STORE_FAILED', message: /could not be read: no range/ } },
    })
  },
)

t.test('a thread that does not answer is not waited for for ever', async (t) => {
  const host = await testHost(t, {
    functions: {
      'counter.ts': counter({ store: 'memory', more: 'visitors: { hang() { for (;;); } },' }),
    },
    env: { MILLRACE_LIMITS_DRAIN_MS: '300' },
  })
  await host.view('counter', 'a', await host.emit('clicks', 'a', 1))
  const visit = fetch(`${host.host.url}/functions/counter/visit/hang`, { method: 'POST' })
  const refused = await until('reads are refused', async () => {
    const { status, body } = await host.get('/views/counter/a')
    return status === 200 ? undefined : { status, body }
  })
  t.match(refused, {
    status: 503,
    body: { error: { code: 'RECOVERING', message: /did not answer within 300 ms/ } },
  })
  await restart(host)
  await visit
  await host.untilStatus('counter', 'running')
  t.equal(await host.view('counter', 'a'), 1)
})
