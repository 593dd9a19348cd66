// Views: values as they are stored, pages in key order, batches, and what happens while a table recovers.
import t, { type Test } from 'tap'
import type { TableEntry } from '#host/functions/catalog.js'
import { partitionOf } from '#host/log/partitioner.js'
import { createFixture, type Fixture, partitions, said } from './fixture.js'

const lines = { headers: { accept: 'application/x-ndjson' } }
const post = (body: unknown) => ({ method: 'POST', body: JSON.stringify(body) })
const entries = (...keys: readonly string[]) =>
  Object.fromEntries(keys.map((key) => [key, JSON.stringify({ is: key })]))

t.test('a value leaves as it is stored, short or long', async (t) => {
  const { app, table } = createFixture(t)
  const long = JSON.stringify('ü'.repeat(50_000))
  await table('counts', { codec: 'json' }, { ada: '{ "count": 2 }', long })
  const answer = await said(app.request('/views/counts/ada'))
  t.match(answer, { status: 200, text: '{ "count": 2 }' })
  t.equal(answer.headers.get('content-type'), 'application/json')
  t.equal((await said(app.request('/views/counts/long'))).text, long)
})

t.test('what is not there is 404, with which of the two it is', async (t) => {
  const { app, table } = createFixture(t)
  await table('counts', { codec: 'json' })
  t.match(await said(app.request('/views/counts/ada')), {
    status: 404,
    body: { error: { code: 'KEY_NOT_FOUND' } },
  })
  t.match(await said(app.request('/views/nope/ada')), {
    status: 404,
    body: { error: { code: 'UNKNOWN_TABLE' } },
  })
  t.match(await said(app.request('/views/nope')), {
    status: 404,
    body: { error: { code: 'UNKNOWN_TABLE' } },
  })
})

t.test('HEAD answers as GET does, with the length and no body', async (t) => {
  const { app, table } = createFixture(t)
  await table('counts', { codec: 'json' }, { ada: '"ü"' })
  const answer = await said(app.request('/views/counts/ada', { method: 'HEAD' }))
  t.match(answer, { status: 200, text: '' })
  t.equal(answer.headers.get('content-length'), '4')
  t.equal((await app.request('/views/counts/bob', { method: 'HEAD' })).status, 404)
})

t.test('each codec is shown as JSON, bytes as they are for one key', async (t) => {
  const { app, table } = createFixture(t)
  const raw = Buffer.from([0, 255, 1])
  await table('s', { codec: 'string' }, { a: 'say "hi"' })
  await table('i', { codec: 'int64' }, { a: '9223372036854775807' })
  await table('b', { codec: 'bytes' }, { a: raw })
  t.equal((await said(app.request('/views/s/a'))).text, '"say \\"hi\\""')
  t.equal((await said(app.request('/views/i/a'))).text, '9223372036854775807')
  const bytes = await app.request('/views/b/a')
  t.equal(bytes.headers.get('content-type'), 'application/octet-stream')
  t.same(Buffer.from(await bytes.arrayBuffer()), raw)
  t.equal(
    (await said(app.request('/views/b/a', { headers: { accept: 'application/json' } }))).text,
    '"AP8B"',
  )
  t.equal(
    (await said(app.request('/views/b'))).text,
    '{"entries":[{"key":"a","value":"AP8B"}],"cursor":null}',
  )
})

t.test(
  'a codec of the user is run at the gate: bigints keep their digits, dates are ISO, bytes base64',
  async (t) => {
    const { app, table, file } = createFixture(t)
    await file(
      'own',
      `import { defineProcessor, json } from 'millrace'
    const table = {
      encode: () => new Uint8Array(),
      decode: (bytes: Uint8Array) => {
        const text = new TextDecoder().decode(bytes)
        if (text === 'bad') throw new Error('cannot read this')
        return { big: 12345678901234567890n, at: new Date(0), raw: new Uint8Array([1]), text }
      },
    }
    export default defineProcessor({ inputs: { a: json() }, table, on: { a() {} } })`,
    )
    await table('own', { codec: 'custom' }, { a: 'x', b: 'y' })
    const shown = (text: string) =>
      `{"big":12345678901234567890,"at":"1970-01-01T00:00:00.000Z","raw":"AQ==","text":"${text}"}`
    t.equal((await said(app.request('/views/own/a'))).text, shown('x'))
    t.equal(
      (await said(app.request('/views/own', lines))).text,
      `{"key":"a","value":${shown('x')}}\n{"key":"b","value":${shown('y')}}\n`,
    )
    t.equal(
      (await said(app.request('/views/own', post({ keys: ['b'] })))).text,
      `{"b":${shown('y')}}`,
    )
    await table('own', { codec: 'custom' }, { a: 'bad' })
    t.match(await said(app.request('/views/own/a')), {
      status: 500,
      body: { error: { code: 'UNDECODABLE', message: /cannot read this/ } },
    })
  },
)

t.test('a list is in key order over all partitions, within its bounds', async (t) => {
  const { app, table } = createFixture(t)
  await table('counts', { codec: 'json' }, entries('a', 'b1', 'b2', 'b\u{10FFFF}', 'c', 'ü'))
  const keys = async (query: string) => {
    const { body } = await said(app.request(`/views/counts${query}`))
    return (body as { entries: { key: string }[] }).entries.map(({ key }) => key)
  }
  t.same(await keys(''), ['a', 'b1', 'b2', 'b\u{10FFFF}', 'c', 'ü'])
  t.same(await keys('?prefix=b'), ['b1', 'b2', 'b\u{10FFFF}'])
  t.same(await keys('?from=b2&to=c'), ['b2', 'b\u{10FFFF}'], 'from is in, to is out')
  t.same(await keys('?prefix=b&to=b2'), ['b1'])
  t.same(await keys('?from=z&to=a'), [])
  t.same(await keys(`?prefix=${encodeURIComponent('ü')}`), ['ü'])
})

t.test('pages are walked by cursor, whatever comes and goes meanwhile', async (t) => {
  const { app, table } = createFixture(t)
  await table('counts', { codec: 'json' }, entries('a', 'b', 'c', 'd', 'e'))
  const page = async (query: string) => {
    const { body } = await said(app.request(`/views/counts?limit=2${query}`))
    return body as { entries: { key: string; value: unknown }[]; cursor: string | null }
  }
  const first = await page('')
  t.same(first.entries, [
    { key: 'a', value: { is: 'a' } },
    { key: 'b', value: { is: 'b' } },
  ])
  await table('counts', { codec: 'json' }, entries('a', 'aa', 'bb', 'd', 'e'))
  const second = await page(`&cursor=${first.cursor}`)
  t.same(
    second.entries.map(({ key }) => key),
    ['bb', 'd'],
  )
  const third = await page(`&cursor=${second.cursor}`)
  t.same(third, { entries: [{ key: 'e', value: { is: 'e' } }], cursor: null })
  t.match(await said(app.request('/views/counts?cursor=nonsense!')), {
    status: 400,
    body: { error: { code: 'BAD_CURSOR' } },
  })
})

t.test('a page that is full to the last key has no cursor', async (t) => {
  const { app, table } = createFixture(t)
  await table('counts', { codec: 'json' }, entries('a', 'b'))
  t.match(await said(app.request('/views/counts?limit=2')), { body: { cursor: null } })
})

t.test('lines come all, or as many as asked for', async (t) => {
  const { app, table } = createFixture(t)
  const keys = Array.from({ length: 2500 }, (_, n) => `k${String(n).padStart(4, '0')}`)
  await table('counts', { codec: 'json' }, entries(...keys))
  const read = async (query: string) =>
    (await said(app.request(`/views/counts${query}`, lines))).text
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { key: string }).key)
  t.same(await read(''), keys)
  t.same(await read('?limit=1001'), keys.slice(0, 1001))
})

t.test(
  'a list is read no faster than it is taken, and let go when the client leaves',
  async (t) => {
    const { app, table, catalog } = createFixture(t)
    await table('counts', { codec: 'json' })
    let read = 0
    let isClosed = false
    const entry = catalog.table('counts')
    if (entry === undefined) throw new Error('no table')
    const endless: TableEntry = {
      ...entry,
      view: {
        ...entry.view,
        async *range() {
          try {
            while (true) yield [{ key: Buffer.from(`k${read++}`), value: Buffer.from('1') }]
          } finally {
            isClosed = true
          }
        },
      },
    }
    catalog.tables.set('counts', endless)
    const response = await app.request('/views/counts', lines)
    t.equal(read, 0)
    const reader = response.body?.getReader()
    await reader?.read()
    await reader?.read()
    t.equal(read, 2)
    await reader?.cancel()
    t.ok(isClosed)
  },
)

/** A list of three pages, before the second of which `meanwhile` is called. */
async function pausedList(t: Test, meanwhile: (of: Fixture) => void): Promise<Fixture> {
  const fixture = createFixture(t)
  const { table, catalog } = fixture
  await table('counts', { codec: 'json' })
  const entry = catalog.table('counts')
  if (entry === undefined) throw new Error('no table')
  const range = async function* () {
    for (const [nth, key] of ['a', 'b', 'c'].entries()) {
      if (nth === 1) meanwhile(fixture)
      yield [{ key: Buffer.from(key), value: Buffer.from('1') }]
    }
  }
  catalog.tables.set('counts', { ...entry, view: { ...entry.view, range } })
  return fixture
}

t.test('a list ends as one that broke off when a partition goes to another host', async (t) => {
  const lost = ({ catalog }: Fixture) => {
    catalog.lost.add(2)
    catalog.recovering.add(2)
  }
  const { app, lines: logged } = await pausedList(t, lost)
  const response = await app.request('/views/counts', lines)
  const reader = response.body?.getReader()
  const read = async () => Buffer.from((await reader?.read())?.value ?? []).toString()
  t.equal(await read(), '{"key":"a","value":1}\n')
  await t.rejects(read(), { code: 'RECOVERING', message: /may have gone to another host/ })
  t.match(logged.join(''), /a list broke off/)

  const page = await pausedList(t, lost)
  const answer = await said(page.app.request('/views/counts'))
  t.match(answer, { status: 503, body: { error: { code: 'RECOVERING' } } })
  const stale = await pausedList(t, lost)
  t.match(await said(stale.app.request('/views/counts?stale=ok', lines)), {
    text: '{"key":"a","value":1}\n{"key":"b","value":1}\n{"key":"c","value":1}\n',
  })
})

t.test(
  'a list goes on over a new start of the function: what it reads is of one time',
  async (t) => {
    const { app } = await pausedList(t, ({ catalog }) => catalog.recovering.add(2))
    t.equal((await said(app.request('/views/counts', lines))).text.split('\n').length, 4)
  },
)

t.test('a batch of keys gives each its value or null', async (t) => {
  const { app, table } = createFixture(t, { env: { MILLRACE_LIMITS_MAX_PAGE_LIMIT: '3' } })
  await table('counts', { codec: 'json' }, { a: '1', ['__proto__']: '2' })
  t.equal(
    (await said(app.request('/views/counts', post({ keys: ['a', 'zz', 'a'] })))).text,
    '{"a":1,"zz":null}',
  )
  t.equal(
    (await said(app.request('/views/counts', post({ keys: ['__proto__'] })))).text,
    '{"__proto__":2}',
  )
  t.equal(
    (await said(app.request('/views/counts', post({ keys: ['zz', '__proto__', 'a'] })))).text,
    '{"zz":null,"__proto__":2,"a":1}',
    'in the order in which they are asked for',
  )
  t.equal((await said(app.request('/views/counts', post({ keys: [] })))).text, '{}')
  for (const [body, code] of [
    [{ keys: ['a', 'b', 'c', 'd'] }, 'BAD_REQUEST'],
    [{ keys: [1] }, 'BAD_REQUEST'],
    [{ keys: ['a'], limit: 1 }, 'BAD_REQUEST'],
    [{}, 'BAD_REQUEST'],
    [[], 'BAD_REQUEST'],
    [{ keys: ['a', ''] }, 'BAD_KEY'],
    [{ keys: ['a', '\ud800'] }, 'BAD_KEY'],
    [{ keys: ['a', 'x'.repeat(5000)] }, 'KEY_TOO_LONG'],
  ] as const) {
    t.match(await said(app.request('/views/counts', post(body))), {
      status: 400,
      body: { error: { code } },
    })
  }
})

t.test('a batch with a token waits for it; a bad key is told before that', async (t) => {
  const { app, table, stream, catalog } = createFixture(t)
  await stream('clicks')
  await table('counts', { codec: 'json' }, { ada: '1' })
  catalog.fakes = [{ name: 'counts', inputs: ['clicks'] }]
  const emitted = await said(app.request('/emitters/clicks/ada', { method: 'POST', body: '1' }))
  const { token } = emitted.body as { token: string }
  const path = `/views/counts?after=${token}&timeoutMs=60000`
  t.match(await said(app.request(path, post({ keys: [''] }))), { status: 400 })
  const asked = said(app.request(path, post({ keys: ['ada'] })))
  await catalog.catchUp('counts', 'clicks')
  t.match(await asked, { status: 200, text: '{"ada":1}' })
  t.match(await said(app.request(`${path}&prefix=a`, post({ keys: [] }))), { status: 400 })
})

t.test(
  'a partition that recovers answers 503, or what it has when that is asked for',
  async (t) => {
    const { app, table, catalog } = createFixture(t)
    await table('counts', { codec: 'json' }, { ada: '1', bob: '2' })
    const of = (key: string) => partitionOf(Buffer.from(key), partitions, 'murmur2')
    catalog.recovering.add(of('ada'))
    const answer = await said(app.request('/views/counts/ada'))
    const error = { code: 'RECOVERING', message: /being rebuilt/ }
    t.match(answer, { status: 503, body: { error } })
    t.equal(answer.headers.get('retry-after'), '1')
    catalog.lost.add(of('ada'))
    const elsewhere = { error: { code: 'RECOVERING', message: /at another host/ } }
    t.match(await said(app.request('/views/counts/ada')), { status: 503, body: elsewhere })
    catalog.lost.clear()
    t.equal((await said(app.request('/views/counts/ada?stale=ok'))).text, '1')
    t.not(of('bob'), of('ada'))
    t.equal((await said(app.request('/views/counts/bob'))).text, '2')
    t.equal((await app.request('/views/counts')).status, 503)
    t.equal((await app.request('/views/counts?stale=ok')).status, 200)
    t.equal((await app.request('/views/counts', post({ keys: ['ada'] }))).status, 503)
    t.equal((await app.request('/views/counts', post({ keys: ['bob', 'ada'] }))).status, 503)
    t.equal((await app.request('/views/counts', post({ keys: ['bob'] }))).status, 200)
    t.equal(
      (await said(app.request('/views/counts?stale=ok', post({ keys: ['bob', 'ada'] })))).text,
      '{"bob":2,"ada":1}',
    )
    t.match(await said(app.request('/views/counts/ada?stale=yes')), {
      status: 400,
      body: { error: { code: 'BAD_REQUEST' } },
    })
  },
)

t.test('a parameter that is misspelt or out of bounds is refused', async (t) => {
  const { app, table } = createFixture(t)
  await table('counts', { codec: 'json' })
  for (const [query, message] of [
    ['?limt=3', /did you mean limit/],
    ['?limit=0', /from 1 to 10000/],
    ['?limit=10001', /from 1 to 10000/],
    ['?limit=x', /limit is "x"/],
  ] as const) {
    t.match(await said(app.request(`/views/counts${query}`)), {
      status: 400,
      body: { error: { code: 'BAD_REQUEST', message } },
    })
  }
})

t.test('a key is evicted from a view, where its hash has put it, by who may', async (t) => {
  const tokens = [
    { name: 'admin', env: 'ADMIN', scopes: ['admin'], names: ['prices', 'counts'] },
    { name: 'reader', env: 'READER', scopes: ['read'] },
  ]
  const env = {
    MILLRACE_HTTP_TOKENS: JSON.stringify(tokens),
    ADMIN: 'an-admin-of-some-length',
    READER: 'a-reader-of-some-length',
  }
  const { app, catalog, table } = createFixture(t, { env })
  await table('prices', { codec: 'json' }, { ada: '1' })
  await table('counts', { codec: 'json' }, { ada: '1' })
  await table('others', { codec: 'json' }, { ada: '1' })
  catalog.views.add('prices').add('others')
  const evict = async (path: string, token = env.ADMIN) => {
    const headers = { authorization: `Bearer ${token}` }
    return await app.request(path, { method: 'DELETE', headers })
  }
  t.equal((await evict('/views/prices/%C3%BC')).status, 204)
  t.same(catalog.evicted, [['prices', partitionOf(Buffer.from('ü'), 4, 'murmur2'), 'ü']])
  t.equal((await evict('/views/prices/ada', env.READER)).status, 403)
  t.equal((await evict('/views/others/ada')).status, 403)
  const refused = await evict('/views/counts/ada')
  t.equal(refused.status, 400)
  t.match(await refused.json(), { error: { code: 'BAD_REQUEST', message: /defineView/ } })
  t.equal(catalog.evicted.length, 1)
})
