// Reads that are answered past the routes: as these would answer them, byte for byte.
import { once } from 'node:events'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { HostError } from '#host/errors.js'
import { createQuickRead } from '#host/http/quick-read.js'
import { listen } from '#host/http/serve.js'
import { partitionOf } from '#host/log/partitioner.js'
import { createFixture } from './fixture.js'

const values = {
  ada: '{"count":1}',
  ü: '"ü, 日本 and 🐎"',
  'a|b': '2',
  '..': '3',
  long: JSON.stringify('x'.repeat(20_000)),
}

/** The same application twice: behind quick reads, and without them. */
async function serve(t: Test, env: Record<string, string> = {}) {
  const fixture = createFixture(t, { env })
  await fixture.table('counts', { codec: 'json' }, values)
  await fixture.table('numbers', { codec: 'int64' }, { ada: '9007199254740993' })
  await fixture.table('names', { codec: 'string' }, { ada: 'Ada' })
  const { app } = fixture
  const quickRead = createQuickRead(fixture)
  const quick: string[] = []
  const listener = await listen(app, {
    host: '127.0.0.1',
    port: 0,
    quickRead(request, response) {
      const isTaken = quickRead(request, response)
      if (isTaken) quick.push(request.url ?? '')
      return isTaken
    },
  })
  const plain = await listen(app, { host: '127.0.0.1', port: 0 })
  t.teardown(() => Promise.all([listener, plain].map((each) => each[Symbol.asyncDispose]())))
  const answers = async (line: string) =>
    await Promise.all([listener, plain].map(({ url }) => answer(new URL(url), line)))
  return { ...fixture, quick, answers }
}

/** Status line, headers in order of their names, body; the date is left out. */
async function answer(url: URL, line: string): Promise<string[]> {
  const socket = connect(Number(url.port), url.hostname)
  socket.write(`${line} HTTP/1.1\r\nHost: millrace\r\nConnection: close\r\n\r\n`)
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(socket, 'close')
  const [head = '', body = ''] = Buffer.concat(chunks).toString().split('\r\n\r\n')
  const lines = head.toLowerCase().split('\r\n')
  return [...lines.filter((each) => !each.startsWith('date:')).sort(), body]
}

t.test('what is there is answered at once, as the route would', async (t) => {
  const { answers, quick } = await serve(t)
  for (const path of ['/views/counts/ada', '/views/counts/..', '/views/numbers/ada']) {
    const [own, route] = await answers(`GET ${path}`)
    t.ok(own?.includes('http/1.1 200 ok'), path)
    t.same(own, route, path)
    t.same(quick.splice(0), [path])
  }
})

t.test('everything else is left to the routes', async (t) => {
  const { answers, quick, catalog } = await serve(t)
  const lines = [
    'GET /views/counts/nobody',
    'GET /views/nothing/ada',
    'GET /views/counts/%C3%BC',
    'GET /views/counts/ada?stale=ok',
    'GET /views/counts/ada?after=nonsense',
    'GET /views/counts/ada/x',
    'GET /views/counts/',
    'GET /views/counts',
    'GET /views/counts/long',
    'GET /views/names/ada',
    `GET /views/counts/${'k'.repeat(10_000)}`,
    'HEAD /views/counts/ada',
    'DELETE /views/counts/ada',
    'GET /healthz',
  ]
  for (const line of lines) {
    const [own, route] = await answers(line)
    t.same(own, route, line)
  }
  catalog.recovering.add(partitionOf(Buffer.from('ada'), 4, 'murmur2'))
  const [own] = await answers('GET /views/counts/ada')
  t.ok(own?.includes('http/1.1 503 service unavailable'), 'a table that recovers')
  t.same(quick, [])
})

t.test('of a view that is cut off it is said that it may be old', async (t) => {
  const { answers, quick, catalog, app } = await serve(t)
  catalog.stale.add('counts')
  const [own, route] = await answers('GET /views/counts/ada')
  t.ok(own?.includes('http/1.1 200 ok'))
  t.ok(own?.includes('millrace-stale: true'))
  t.same(own, route)
  t.same(quick, [])
  for (const path of ['/views/counts/ada?stale=ok', '/views/counts', '/views/counts/nobody']) {
    t.equal((await app.request(path)).headers.get('millrace-stale'), 'true', path)
  }
  const batch = { method: 'POST', body: '{"keys":["ada"]}' }
  t.equal((await app.request('/views/counts', batch)).headers.get('millrace-stale'), 'true')
  t.equal((await app.request('/views/names/ada')).headers.get('millrace-stale'), null)
})

t.test('a table that cannot be read is read once, and told as the route tells it', async (t) => {
  const { answers, quick, catalog } = await serve(t)
  const table = catalog.tables.get('counts')
  let reads = 0
  if (table !== undefined) {
    const get = () => {
      reads += 1
      throw new HostError('STORE_DAMAGED', 'a value has lost its sum')
    }
    catalog.tables.set('counts', { ...table, view: { ...table.view, get } })
  }
  const [own, route] = await answers('GET /views/counts/ada')
  t.ok(own?.includes('http/1.1 503 service unavailable'), 'a table that is damaged')
  t.same(own, route)
  t.equal(reads, 2, 'by each server once')
  t.same(quick, ['/views/counts/ada'])
})

t.test('with tokens nothing is answered without a look at them', async (t) => {
  const tokens = [{ name: 'reader', env: 'READER', scopes: ['read'] }]
  const { answers, quick } = await serve(t, {
    MILLRACE_HTTP_TOKENS: JSON.stringify(tokens),
    READER: 'a-secret-of-some-length',
  })
  const [own] = await answers('GET /views/counts/ada')
  t.ok(own?.includes('http/1.1 401 unauthorized'), 'refused')
  t.same(quick, [])
})

t.test('a key is looked for where the hasher of its table has put it', async (t) => {
  const fixture = createFixture(t, { hasher: 'fnv1a' })
  const keys = Array.from({ length: 16 }, (_, n) => `key-${n}`)
  await fixture.table(
    'counts',
    { codec: 'json' },
    Object.fromEntries(keys.map((key) => [key, '1'])),
  )
  const quickRead = createQuickRead(fixture)
  const misses: string[] = []
  const own = await listen(fixture.app, {
    host: '127.0.0.1',
    port: 0,
    quickRead(request, response) {
      const isTaken = quickRead(request, response)
      if (!isTaken) misses.push(request.url ?? '')
      return isTaken
    },
  })
  t.teardown(() => own[Symbol.asyncDispose]())
  for (const key of keys) t.equal((await fetch(`${own.url}/views/counts/${key}`)).status, 200)
  t.same(misses, [], 'at once')
})
