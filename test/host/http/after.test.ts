// Tokens: a read waits until the table reflects an emit, over every path, and no longer than it may.
import t from 'tap'
import { decodeToken, encodeToken } from '#host/http/token.js'
import { partitionOf } from '#host/log/partitioner.js'
import { createFixture, type Fixture, partitions, said } from './fixture.js'

const partition = partitionOf(Buffer.from('ada'), partitions, 'murmur2')

async function emit({ app }: Fixture, stream: string, key = 'ada'): Promise<string> {
  const { body } = await said(
    app.request(`/emitters/${stream}/${key}`, { method: 'POST', body: '1' }),
  )
  return (body as { token: string }).token
}

/** An append that only moves the ends of a stream between functions. */
async function append({ log }: Fixture, topic: string, at = partition): Promise<void> {
  await log.append([
    { topic, partition: at, key: Buffer.from('k'), value: Buffer.from('1'), timestamp: 0 },
  ])
}

/** A request, and whether it is answered. */
function ask({ app }: Fixture, path: string, signal?: AbortSignal) {
  const state = { isDone: false }
  const answer = said(app.request(path, signal === undefined ? {} : { signal })).finally(() => {
    state.isDone = true
  })
  return { state, answer }
}

/** Lets everything go on that does not wait for the test. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
}

async function oneHop(t: Parameters<typeof createFixture>[0], env: Record<string, string> = {}) {
  const fixture = createFixture(t, { env })
  await fixture.stream('clicks')
  await fixture.table('counts', { codec: 'json' }, { ada: '1' })
  fixture.catalog.fakes = [{ name: 'counts', inputs: ['clicks'] }]
  return fixture
}

t.test('a read waits until the position has passed the emit', async (t) => {
  const fixture = await oneHop(t)
  const token = await emit(fixture, 'clicks')
  const { state, answer } = ask(fixture, `/views/counts/ada?after=${token}`)
  await settle()
  t.notOk(state.isDone)
  fixture.catalog.move(
    'counts',
    'clicks',
    partition,
    decodeToken(token).offsets.get(partition) ?? -1,
  )
  await settle()
  t.notOk(state.isDone, 'the position of the record itself is before it')
  await fixture.catalog.catchUp('counts', 'clicks')
  t.match(await answer, { status: 200, text: '1' })
  t.equal((await app(fixture, `/views/counts?after=${token}`)).status, 200)
})

const app = (fixture: Fixture, path: string) => said(fixture.app.request(path))

t.test('over two hops the ends behind the first function count', async (t) => {
  const fixture = createFixture(t)
  await fixture.stream('clicks')
  await fixture.stream('routes')
  await fixture.table('totals', { codec: 'json' }, { ada: '1' })
  fixture.catalog.fakes = [
    { name: 'split', inputs: ['clicks'], outputs: ['routes'] },
    { name: 'totals', inputs: ['routes'] },
    { name: 'bystander', inputs: ['clicks'], outputs: [] },
  ]
  const token = await emit(fixture, 'clicks')
  const { state, answer } = ask(fixture, `/views/totals/ada?after=${token}`)
  await settle()
  await append(fixture, 'routes')
  await fixture.catalog.catchUp('split', 'clicks')
  await settle()
  t.notOk(state.isDone, 'what the first has written is not yet in the table')
  await fixture.catalog.catchUp('totals', 'routes')
  t.match(await answer, { status: 200 })
})

t.test('for one key the last hop needs only its partition, for a list all', async (t) => {
  const fixture = createFixture(t)
  await fixture.stream('clicks')
  await fixture.stream('routes')
  await fixture.table('totals', { codec: 'json' }, { ada: '1' })
  fixture.catalog.fakes = [
    { name: 'split', inputs: ['clicks'], outputs: ['routes'] },
    { name: 'totals', inputs: ['routes'] },
  ]
  const token = await emit(fixture, 'clicks')
  const other = (partition + 1) % partitions
  await append(fixture, 'routes', other)
  await fixture.catalog.catchUp('split', 'clicks')
  t.match(await app(fixture, `/views/totals/ada?after=${token}`), { status: 200 })
  const list = ask(fixture, `/views/totals?after=${token}`)
  await settle()
  t.notOk(list.state.isDone)
  await fixture.catalog.catchUp('totals', 'routes')
  t.match(await list.answer, { status: 200 })
})

t.test('every path counts, and circles end', async (t) => {
  const fixture = createFixture(t)
  for (const name of ['clicks', 'x', 'y', 'back']) await fixture.stream(name)
  await fixture.table('totals', { codec: 'json' }, { ada: '1' })
  fixture.catalog.fakes = [
    { name: 'fast', inputs: ['clicks', 'back'], outputs: ['x'] },
    { name: 'slow', inputs: ['clicks', 'x'], outputs: ['y', 'back'] },
    { name: 'totals', inputs: ['x', 'y'] },
  ]
  const token = await emit(fixture, 'clicks')
  const { state, answer } = ask(fixture, `/views/totals/ada?after=${token}`)
  await append(fixture, 'x')
  await fixture.catalog.catchUp('fast', 'clicks')
  await fixture.catalog.catchUp('totals', 'x')
  await settle()
  t.notOk(state.isDone, 'the slow path has not passed')
  await fixture.catalog.catchUp('slow', 'clicks')
  await settle()
  t.notOk(state.isDone, 'what the slow function reads of the fast one has not passed')
  await append(fixture, 'y')
  await fixture.catalog.catchUp('slow', 'x')
  await settle()
  t.notOk(state.isDone, 'y is not in the table')
  await fixture.catalog.catchUp('totals', 'y')
  t.match(await answer, { status: 200 })
})

t.test('what the table leads back to is not waited for', async (t) => {
  const fixture = createFixture(t)
  for (const name of ['clicks', 'routes', 'back']) await fixture.stream(name)
  await fixture.table('totals', { codec: 'json' }, { ada: '1' })
  fixture.catalog.fakes = [
    { name: 'split', inputs: ['clicks', 'back'], outputs: ['routes'] },
    { name: 'totals', inputs: ['routes', 'clicks'], outputs: ['back'] },
  ]
  const token = await emit(fixture, 'clicks')
  await append(fixture, 'back')
  await fixture.catalog.catchUp('split', 'clicks')
  await fixture.catalog.catchUp('totals', 'clicks')
  t.match(await app(fixture, `/views/totals/ada?after=${token}`), { status: 200 })
})

t.test('a wait that takes too long says who is behind, where and in which state', async (t) => {
  const fixture = await oneHop(t)
  fixture.catalog.fakes = [{ name: 'counts', inputs: ['clicks'], state: 'halted' }]
  const token = await emit(fixture, 'clicks')
  t.match(await app(fixture, `/views/counts/ada?after=${token}&timeoutMs=1`), {
    status: 504,
    body: {
      error: {
        code: 'WAIT_TIMEOUT',
        details: {
          function: 'counts',
          state: 'halted',
          stream: 'clicks',
          partition,
          position: 0,
          needed: Number,
        },
      },
    },
  })
  t.equal(fixture.catalog.listeners.size, 0, 'nothing is left of it')
  t.match(await app(fixture, `/views/counts/ada?after=${token}&timeoutMs=60001`), { status: 400 })
})

t.test(
  'a stream that does not lead to the table, and a token of a former life, are refused',
  async (t) => {
    const fixture = await oneHop(t)
    await fixture.stream('other')
    const other = await emit(fixture, 'other')
    t.match(await app(fixture, `/views/counts/ada?after=${other}`), {
      status: 400,
      body: { error: { code: 'STREAM_NOT_UPSTREAM' } },
    })
    const peer = { instance: 'next', address: undefined, partitions: [], standbys: [] }
    fixture.catalog.peers = [{ ...peer, isRefused: true }]
    t.match(
      await app(fixture, `/views/counts/ada?after=${other}`),
      { status: 503, body: { error: { code: 'RECOVERING', message: /other edges/ } } },
      'unless another version, by which it may lead there, waits',
    )
    fixture.catalog.peers = []
    const token = await emit(fixture, 'clicks')
    await fixture.log.remove(['clicks'])
    await fixture.stream('clicks')
    t.match(await app(fixture, `/views/counts/ada?after=${token}`), {
      status: 400,
      body: { error: { code: 'BAD_TOKEN', message: /re-created/ } },
    })
  },
)

t.test('garbled tokens are refused', async (t) => {
  const fixture = await oneHop(t)
  const token = encodeToken({ stream: 'clicks', topicId: 'x', offsets: new Map([[0, 1]]) })
  t.same(decodeToken(token).offsets, new Map([[0, 1]]))
  t.match(await app(fixture, `/views/counts/ada?after=${await emit(fixture, 'clicks')}!`), {
    body: { error: { code: 'BAD_TOKEN', message: /is no token/ } },
  })
  const wrong = [
    '',
    'x',
    token.slice(0, -4),
    `${token}!`,
    Buffer.from('[1,"a","b",0]').toString('base64url'),
    Buffer.from('[2,"a","b",0,1]').toString('base64url'),
    Buffer.from('[1,"a","b",0,-1]').toString('base64url'),
    Buffer.from('{}').toString('base64url'),
  ]
  for (const bad of wrong) {
    t.match(
      await app(fixture, `/views/counts/ada?after=${bad}`),
      { status: 400, body: { error: { code: 'BAD_TOKEN' } } },
      bad,
    )
  }
})

t.test('several tokens are waited for together', async (t) => {
  const fixture = await oneHop(t)
  const first = await emit(fixture, 'clicks', 'ada')
  const second = await emit(fixture, 'clicks', 'bob')
  const at = partitionOf(Buffer.from('bob'), partitions, 'murmur2')
  t.not(at, partition)
  const { state, answer } = ask(fixture, `/views/counts?after=${first}&after=${second}`)
  await settle()
  fixture.catalog.move('counts', 'clicks', partition, 1000)
  await settle()
  t.notOk(state.isDone)
  fixture.catalog.move('counts', 'clicks', at, 1000)
  t.match(await answer, { status: 200 })
})

t.test('of two tokens of one partition the later counts, whichever comes last', async (t) => {
  const fixture = await oneHop(t)
  const first = await emit(fixture, 'clicks')
  const second = await emit(fixture, 'clicks')
  const { state, answer } = ask(fixture, `/views/counts/ada?after=${second}&after=${first}`)
  await settle()
  fixture.catalog.move(
    'counts',
    'clicks',
    partition,
    (decodeToken(first).offsets.get(partition) ?? 0) + 1,
  )
  await settle()
  t.notOk(state.isDone)
  await fixture.catalog.catchUp('counts', 'clicks')
  t.match(await answer, { status: 200 })
})

t.test('a client that leaves, a stopping host and a removed function end the wait', async (t) => {
  const fixture = await oneHop(t)
  const path = `/views/counts/ada?after=${await emit(fixture, 'clicks')}`
  const client = new AbortController()
  const left = ask(fixture, path, client.signal)
  await settle()
  client.abort()
  t.match(await left.answer, { body: { error: { message: 'the client has gone' } } })
  t.equal(fixture.catalog.listeners.size, 0)

  const removed = ask(fixture, path)
  await settle()
  const { fakes } = fixture.catalog
  fixture.catalog.fakes = []
  fixture.catalog.announce()
  t.match(await removed.answer, { status: 404, body: { error: { code: 'UNKNOWN_TABLE' } } })

  fixture.catalog.fakes = fakes
  const stopped = ask(fixture, path)
  await settle()
  fixture.stopping.abort()
  t.match(await stopped.answer, { status: 503, body: { error: { code: 'STOPPING' } } })
})

t.test('no more than so many wait, and those that are done make room', async (t) => {
  const fixture = await oneHop(t, { MILLRACE_LIMITS_MAX_WAITING: '2' })
  const path = `/views/counts/ada?after=${await emit(fixture, 'clicks')}`
  const waiting = [ask(fixture, path), ask(fixture, path)]
  await settle()
  const refused = await app(fixture, path)
  t.match(refused, { status: 429, body: { error: { code: 'OVERLOADED' } } })
  t.equal(refused.headers.get('retry-after'), '1')
  await fixture.catalog.catchUp('counts', 'clicks')
  for (const { answer } of waiting) t.match(await answer, { status: 200 })
  t.match(await app(fixture, path), { status: 200 })
})
