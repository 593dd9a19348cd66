// The route of visits: who may ask for one, what is told of it, and what ends it.
import t from 'tap'
import { HostError } from '#host/errors.js'
import type { VisitOrder } from '#host/functions/operation.js'
import type { VisitProgress, VisitReport } from '#host/processor/visiting.js'
import { createFixture, said } from './fixture.js'

const report: VisitReport = { visited: 5, failed: 1, vanished: 2, partitions: [0, 1] }
const done = { function: 'counts', visitor: 'add', ...report }
const at = (visited: number, total: number | null): VisitProgress => ({ ...report, visited, total })
const lines = { method: 'POST', headers: { accept: 'application/x-ndjson' } }

/** A visit that does not end before it is told to. */
class Kept {
  order: VisitOrder | undefined
  readonly begun = new Promise<void>((resolve) => {
    this.begin = resolve
  })
  declare begin: () => void

  async run(order: VisitOrder): Promise<VisitReport> {
    this.order = order
    order.progressed(at(0, null))
    this.begin()
    return await new Promise((_, reject) => {
      order.signal.addEventListener('abort', () =>
        reject(new HostError('VISIT_ABORTED', String(order.signal.reason))),
      )
    })
  }
}

t.test('the answer is what the visit has come to, and its argument the body', async (t) => {
  const orders: VisitOrder[] = []
  const { app, catalog } = createFixture(t, {
    visit: async (order) => {
      orders.push(order)
      return report
    },
  })
  catalog.fakes = [{ name: 'counts', inputs: ['clicks'] }]
  const visit = (body?: string, name = 'counts') =>
    said(app.request(`/functions/${name}/visit/add`, { method: 'POST', body: body ?? null }))
  t.match(await visit(), { status: 200, body: done })
  t.match(await visit('{ "by": 3 }'), { status: 200, body: done })
  t.match(orders, [
    { visitor: 'add', argument: undefined, isCounted: false },
    { visitor: 'add', argument: '{ "by": 3 }' },
  ])
  t.match(await visit('{ by: 3 }'), {
    status: 400,
    body: { error: { code: 'BAD_JSON', details: [{ line: 1 }] } },
  })
  t.match(await visit(undefined, 'count'), {
    status: 404,
    body: { error: { code: 'UNKNOWN_FUNCTION', message: /did you mean "counts"/ } },
  })
  t.equal(orders.length, 2)
  t.match(await said(app.request('/functions/counts/visit/add')), { status: 405 })
})

t.test('lines tell how far it has come, and the last one how it ended', async (t) => {
  const { app, catalog } = createFixture(t, {
    visit: async ({ progressed, isCounted }) => {
      t.ok(isCounted)
      progressed(at(0, null))
      await new Promise((resolve) => setImmediate(resolve))
      progressed(at(3, 8))
      return report
    },
  })
  catalog.fakes = [{ name: 'counts', inputs: [] }]
  const { status, text } = await said(app.request('/functions/counts/visit/add', lines))
  t.equal(status, 200)
  const told: unknown[] = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  t.same(told.at(-1), { done })
  t.same(told.at(-2), at(3, 8))
})

t.test(
  'what it comes to before it begins is told by the status, later by the last line',
  async (t) => {
    for (const isBegun of [false, true]) {
      const { app, catalog } = createFixture(t, {
        visit: async ({ progressed }) => {
          if (isBegun) progressed(at(0, null))
          throw new HostError('VISIT_FAILED', 'at the key "a"', { details: { key: 'a' } })
        },
      })
      catalog.fakes = [{ name: 'counts', inputs: [] }]
      const answer = await said(app.request('/functions/counts/visit/add', lines))
      const error = { error: { code: 'VISIT_FAILED', details: { key: 'a' } } }
      if (!isBegun) t.match(answer, { status: 500, body: error })
      else t.match(JSON.parse(answer.text.trim().split('\n').at(-1) ?? ''), error)
    }
  },
)

t.test('a client that goes, and a host that stops, end it', async (t) => {
  for (const end of ['client', 'lines', 'host'] as const) {
    const kept = new Kept()
    const { app, catalog, stopping } = createFixture(t, { visit: (order) => kept.run(order) })
    catalog.fakes = [{ name: 'counts', inputs: [] }]
    const client = new AbortController()
    const request = new Request('http://h/functions/counts/visit/add', {
      ...(end === 'lines' ? lines : { method: 'POST' }),
      signal: client.signal,
    })
    const answer = app.request(request)
    await kept.begun
    if (end === 'client') client.abort()
    else if (end === 'host') stopping.abort()
    else await (await answer).body?.cancel()
    t.equal(kept.order?.signal.reason, end === 'host' ? 'drained' : 'cancelled', end)
    if (end !== 'lines') {
      t.match(await said(answer), { status: 409, body: { error: { code: 'VISIT_ABORTED' } } })
    }
  }
})

t.test('it needs the scope admin, and the name', async (t) => {
  const env = {
    ADMIN: 'admin-of-it-0123456789',
    READ: 'read-only-0123456789',
    MILLRACE_HTTP_TOKENS: JSON.stringify([
      { name: 'admin', env: 'ADMIN', scopes: ['admin'], names: ['counts'] },
      { name: 'reader', env: 'READ', scopes: ['read', 'emit'] },
    ]),
  }
  const { app, catalog } = createFixture(t, { env, visit: async () => report })
  catalog.fakes = ['counts', 'others'].map((name) => ({ name, inputs: [] }))
  const visit = (name: string, token?: string) =>
    said(
      app.request(`/functions/${name}/visit/add`, {
        method: 'POST',
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      }),
    )
  t.match(await visit('counts'), { status: 401 })
  t.match(await visit('counts', env.READ), { status: 403 })
  t.match(await visit('others', env.ADMIN), { status: 403 })
  t.match(await visit('counts', env.ADMIN), { status: 200 })
})
