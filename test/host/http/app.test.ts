// What all routes share: unknown paths, methods, tokens, health, and what a failure shows to whom.
import t from 'tap'
import { createFixture, said } from './fixture.js'

const secrets = {
  ALL: 'all-of-it-0123456789',
  EMIT: 'emit-only-0123456789',
  READ: 'read-only-0123456789',
}
const tokens = JSON.stringify([
  { name: 'all', env: 'ALL', scopes: ['emit', 'read', 'admin'] },
  { name: 'emitter', env: 'EMIT', scopes: ['emit'], names: ['click-*', 'a.b'] },
  { name: 'reader', env: 'READ', scopes: ['read'], names: ['counts'] },
])
const guarded = { env: { ...secrets, MILLRACE_HTTP_TOKENS: tokens } }
const as = (token: string, init: RequestInit = {}) => ({
  ...init,
  headers: { authorization: `Bearer ${token}` },
})

t.test('an unknown path is 404, a wrong method 405 with those that are right', async (t) => {
  const { app, stream } = createFixture(t)
  await stream('clicks')
  t.match(await said(app.request('/nope')), {
    status: 404,
    body: { error: { code: 'UNKNOWN_ROUTE' } },
  })
  for (const [method, path, allow] of [
    ['PUT', '/emitters/clicks/a', 'DELETE, POST'],
    ['GET', '/emitters/clicks', 'POST'],
    ['DELETE', '/views/counts', 'GET, HEAD, POST'],
    ['POST', '/healthz', 'GET, HEAD'],
  ] as const) {
    const answer = await said(app.request(path, { method }))
    t.match(
      answer,
      { status: 405, body: { error: { code: 'UNKNOWN_ROUTE' } } },
      `${method} ${path}`,
    )
    t.equal(answer.headers.get('allow'), allow)
  }
})

t.test('functions and topology are shown', async (t) => {
  const { app, catalog } = createFixture(t)
  catalog.fakes = [{ name: 'counts', inputs: ['clicks'] }]
  t.match(await said(app.request('/functions')), {
    status: 200,
    body: { functions: [{ name: 'counts', state: 'running' }] },
  })
  t.match(await said(app.request('/functions/counts')), { status: 200, body: { name: 'counts' } })
  t.match(await said(app.request('/functions/nope')), {
    status: 404,
    body: { error: { code: 'UNKNOWN_FUNCTION' } },
  })
  t.match(await said(app.request('/topology')), {
    status: 200,
    body: { functions: [{ name: 'counts' }], edges: [{ from: 'function:counts' }] },
  })
})

t.test('a function is paused, resumed and restarted by who may', async (t) => {
  const { app, catalog, stopping } = createFixture(t, guarded)
  catalog.fakes = [{ name: 'counts', inputs: [] }]
  const post = (path: string, token: string) =>
    said(app.request(path, as(token, { method: 'POST' })))
  for (const [operation, state] of [
    ['pause', 'paused'],
    ['resume', 'running'],
    ['restart', 'running'],
  ]) {
    const path = `/functions/counts/${operation}`
    t.match(await post(path, secrets.ALL), { status: 200, body: { name: 'counts', state } })
    t.match(await post(path, secrets.READ), { status: 403, body: { error: { code: 'FORBIDDEN' } } })
    t.match(await post(`/functions/nope/${operation}`, secrets.ALL), {
      status: 404,
      body: { error: { code: 'UNKNOWN_FUNCTION' } },
    })
    t.match(await said(app.request(path, as(secrets.ALL))), { status: 405 })
  }
  stopping.abort()
  t.match(await post('/functions/counts/pause', secrets.ALL), {
    status: 503,
    body: { error: { code: 'STOPPING' } },
  })
})

t.test('it is ready when every function runs or was paused; alive always', async (t) => {
  const { app, catalog, stopping } = createFixture(t)
  catalog.fakes = [
    { name: 'a', inputs: [] },
    { name: 'b', inputs: [], state: 'paused' },
  ]
  t.match(await said(app.request('/readyz')), { status: 200, body: { status: 'ready' } })
  for (const state of [
    'loading',
    'joining',
    'recovering',
    'draining',
    'stopped',
    'halted',
  ] as const) {
    catalog.fakes = [
      { name: 'a', inputs: [] },
      { name: 'b', inputs: [], state },
    ]
    const answer = await said(app.request('/readyz'))
    t.match(answer, {
      status: 503,
      body: {
        error: { message: `b (${state})`, details: { waitingFor: [{ function: 'b', state }] } },
      },
    })
    t.equal(answer.headers.get('retry-after'), '1')
  }
  catalog.fakes = []
  stopping.abort()
  t.equal((await app.request('/readyz')).status, 503)
  t.equal((await app.request('/healthz')).status, 200)
})

t.test('without a token of the host nothing is to be had but health', async (t) => {
  const { app, stream, table, records } = createFixture(t, guarded)
  await stream('click-a')
  await table('counts', { codec: 'json' }, { ada: '1' })
  const wrong = [
    {},
    as('wrong-wrong-wrong-wrong'),
    as(''),
    { headers: { authorization: secrets.ALL } },
    { headers: { authorization: `Basic ${secrets.ALL}` } },
  ]
  for (const init of wrong) {
    for (const path of ['/views/counts/ada', '/views/counts', '/functions', '/topology']) {
      const answer = await said(app.request(path, init))
      t.match(answer, { status: 401, body: { error: { code: 'UNAUTHENTICATED' } } })
      t.match(answer.headers.get('www-authenticate'), /^Bearer/)
    }
    t.equal(
      (await app.request('/emitters/click-a/k', { method: 'POST', body: '1', ...init })).status,
      401,
    )
    t.equal((await app.request('/healthz', init)).status, 200)
    t.equal((await app.request('/readyz', init)).status, 200)
  }
  t.same(records('click-a'), [])
})

t.test('a token does what its scopes and names allow, and no more', async (t) => {
  const { app, stream, table, catalog } = createFixture(t, guarded)
  for (const name of ['click-a', 'aXb', 'a.b']) await stream(name)
  for (const name of ['counts', 'counts-2']) await table(name, { codec: 'json' }, { ada: '1' })
  catalog.fakes = [
    { name: 'counts', inputs: [] },
    { name: 'other', inputs: [] },
  ]
  const emit = (token: string, stream: string) =>
    app.request(`/emitters/${stream}/k`, as(token, { method: 'POST', body: '1' }))
  t.equal((await emit(secrets.EMIT, 'click-a')).status, 201)
  t.equal((await emit(secrets.EMIT, 'a.b')).status, 201)
  t.equal((await emit(secrets.ALL, 'aXb')).status, 201)
  for (const [token, stream] of [
    [secrets.EMIT, 'aXb'],
    [secrets.READ, 'counts'],
  ] as const) {
    t.match(await said(emit(token, stream)), {
      status: 403,
      body: { error: { code: 'FORBIDDEN' } },
    })
  }
  t.equal((await app.request('/views/counts/ada', as(secrets.READ))).status, 200)
  t.equal((await app.request('/views/counts-2/ada', as(secrets.READ))).status, 403)
  t.equal((await app.request('/views/counts/ada', as(secrets.EMIT))).status, 403)
  t.equal((await app.request('/functions', as(secrets.EMIT))).status, 403)
  t.same(
    (
      (await said(app.request('/functions', as(secrets.READ)))).body as {
        functions: { name: string }[]
      }
    ).functions.map(({ name }) => name),
    ['counts'],
  )
  t.equal((await app.request('/functions/other', as(secrets.READ))).status, 403)
  t.same((await said(app.request('/topology', as(secrets.READ)))).body, {
    functions: [
      {
        name: 'counts',
        kind: 'processor',
        group: 'counts',
        state: 'running',
        inputs: [],
        outputs: [],
        table: 'counts',
        loop: false,
        joins: [],
        lookups: [],
      },
    ],
    streams: [],
    tables: [{ name: 'counts', topic: 'counts', hasher: 'murmur2', partitions: 4 }],
    edges: [{ from: 'function:counts', to: 'table:counts' }],
  })
})

t.test('a failure of the host is in its log, and not in the answer', async (t) => {
  const { app, table, catalog, lines } = createFixture(t)
  await table('counts', { codec: 'json' })
  const entry = catalog.tables.get('counts')
  if (entry === undefined) throw new Error('no table')
  const get = () => {
    throw new Error('the secret of the inside')
  }
  catalog.tables.set('counts', { ...entry, view: { ...entry.view, get } })
  const answer = await said(app.request('/views/counts/ada'))
  t.match(answer, { status: 500, body: { error: { code: 'INTERNAL' } } })
  t.notMatch(answer.text, /secret/)
  t.match(lines.join(''), /the secret of the inside/)
})
