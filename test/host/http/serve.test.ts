// The real socket: ports, limits while a body comes in, targets as sent, and a stop that cuts nobody off.
import { once } from 'node:events'
import { Agent, get, type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import t from 'tap'
import { bindPort, listen } from '#host/http/serve.js'
import { partitionOf } from '#host/log/partitioner.js'
import { createFixture, partitions } from './fixture.js'

const local = { host: '127.0.0.1', port: 0 }

async function serve(t: Parameters<typeof createFixture>[0], env: Record<string, string> = {}) {
  const fixture = createFixture(t, { env })
  const listener = await listen(fixture.app, local)
  t.teardown(() => listener[Symbol.asyncDispose]())
  return { ...fixture, listener, url: new URL(listener.url) }
}

async function text(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString()
}

/** Sends what fetch would not send, and returns all that comes back until the other side closes. */
async function raw(url: URL, sent: string | Buffer): Promise<string> {
  const socket = connect(Number(url.port), url.hostname)
  socket.write(sent)
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.on('error', () => {})
  await once(socket, 'close')
  return Buffer.concat(chunks).toString()
}

t.test('a port that is taken, and an address that is not ours, are told apart', async (t) => {
  const { app, url } = await serve(t)
  await t.rejects(listen(app, { ...local, port: Number(url.port) }), {
    code: 'PORT_IN_USE',
    message: new RegExp(`port ${url.port} .*--port`),
  })
  await t.rejects(listen(app, { host: '192.0.2.1', port: 0 }), {
    code: 'CANNOT_LISTEN',
    message: /--host/,
  })
})

t.test('whoever comes before it has started waits; other instances do not', async (t) => {
  const { app } = createFixture(t)
  const port = await bindPort(local)
  t.teardown(() => port[Symbol.asyncDispose]())
  const url = new URL(port.url)
  t.equal(url.port, String(port.port))
  const answer = (path: string) =>
    raw(url, `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
  const early = answer('/views/counts')
  t.match(await answer('/healthz'), /^HTTP\/1.1 200 [\s\S]*alive/)
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  const listener = port.serve(app, { opened })
  t.teardown(() => listener[Symbol.asyncDispose]())
  const later = answer('/readyz')
  t.match(await answer('/healthz'), /^HTTP\/1.1 200 [\s\S]*alive/, 'the process lives')
  t.match(await answer('/cluster/x'), /^HTTP\/1.1 404/)
  let isAnswered = false
  void Promise.race([early, later]).then(() => {
    isAnswered = true
  })
  t.match(await answer('/cluster/x'), /^HTTP\/1.1 404/)
  t.notOk(isAnswered)
  open()
  t.match(await early, /^HTTP\/1.1 404/)
  t.match(await later, /^HTTP\/1.1 200/)
})

t.test('keys arrive as they were sent, dots included', async (t) => {
  const { url, stream, records } = await serve(t)
  await stream('clicks')
  for (const key of ['..', '%2e%2E', '.', 'a|b', '%C3%BC']) {
    const head = `POST /emitters/clicks/${key} HTTP/1.1\r\nHost: ${url.host}\r\nConnection: close\r\nContent-Length: 1\r\n\r\n1`
    t.match(await raw(url, head), /^HTTP\/1.1 201/, key)
  }
  t.same(
    records('clicks')
      .map(({ key }) => key)
      .sort(),
    ['.', '..', '..', 'a|b', 'ü'],
  )
})

t.test('a body that says that it is too large is refused before it is sent', async (t) => {
  const { url, stream } = await serve(t, { MILLRACE_LIMITS_MAX_BODY_BYTES: '100' })
  await stream('clicks')
  const answer = await raw(
    url,
    `POST /emitters/clicks/a HTTP/1.1\r\nHost: ${url.host}\r\nContent-Length: 101\r\n\r\n`,
  )
  t.match(answer, /^HTTP\/1.1 413 [\s\S]*BODY_TOO_LARGE/)
})

t.test('a body that grows too large is refused while it comes in', async (t) => {
  const { url, stream, records } = await serve(t, { MILLRACE_LIMITS_MAX_BODY_BYTES: '100000' })
  await stream('clicks')
  for (const path of ['/emitters/clicks/a', '/emitters/clicks']) {
    const chunk = `8000\r\n${'1'.repeat(0x8000)}\r\n`
    // Never ended: an answer can only come from the limit.
    const answer = await raw(
      url,
      `POST ${path} HTTP/1.1\r\nHost: ${url.host}\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(6)}`,
    )
    t.match(answer, /^HTTP\/1.1 413 [\s\S]*BODY_TOO_LARGE/, path)
  }
  t.same(records('clicks'), [])
})

t.test(
  'a bad line is answered while the rest is still being sent, and the connection goes on',
  async (t) => {
    const { url, stream } = await serve(t)
    await stream('clicks')
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    t.teardown(() => agent.destroy())
    const batch = request(new URL('/emitters/clicks', url), { method: 'POST', agent })
    const answered = once(batch, 'response') as Promise<[IncomingMessage]>
    batch.write('{"key":"a","value":1}\nno JSON\n')
    const [response] = await answered
    const port = response.socket.localPort
    t.match([response.statusCode, await text(response)], [400, /line 2/])
    batch.end('{"key":"b","value":1}\n')
    const [next] = (await once(get(new URL('/healthz', url), { agent }), 'response')) as [
      IncomingMessage,
    ]
    t.equal(next.statusCode, 200)
    t.equal(next.socket.localPort, port, 'it is the same connection')
    next.resume()
  },
)

t.test('a stop lets a waiting request end, and lets go of idle connections', async (t) => {
  const { url, listener, catalog, stream, table, app } = await serve(t)
  await stream('clicks')
  await table('counts', { codec: 'json' }, { ada: '1' })
  catalog.fakes = [{ name: 'counts', inputs: ['clicks'] }]
  const emitted = await app.request('/emitters/clicks/ada', { method: 'POST', body: '1' })
  const { token } = (await emitted.json()) as { token: string }
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const [idle] = (await once(get(new URL('/healthz', url), { agent }), 'response')) as [
    IncomingMessage,
  ]
  await text(idle)

  const waiting = get(new URL(`/views/counts/ada?after=${token}`, url), {
    agent: new Agent({ keepAlive: true }),
  })
  const answered = once(waiting, 'response') as Promise<[IncomingMessage]>
  while (catalog.waits === 0) await new Promise((resolve) => setImmediate(resolve))
  const stopped = listener[Symbol.asyncDispose]()
  await t.rejects(once(get(new URL('/healthz', url)), 'response'), { code: 'ECONNREFUSED' })
  catalog.move('counts', 'clicks', partitionOf(Buffer.from('ada'), partitions, 'murmur2'), 1000)
  const [response] = await answered
  t.equal(await text(response), '1')
  await stopped
  await listener[Symbol.asyncDispose]()
})

t.test('a client that does not read does not hold up the stop', async (t) => {
  const { app, table } = createFixture(t)
  const long = JSON.stringify('x'.repeat(200_000))
  await table(
    'counts',
    { codec: 'json' },
    Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`k${n}`, long])),
  )
  const listener = await listen(app, { ...local, graceMs: 50 })
  const url = new URL(listener.url)
  const socket = connect(Number(url.port), url.hostname)
  socket.on('error', () => {})
  socket.write(
    `GET /views/counts HTTP/1.1\r\nHost: ${url.host}\r\nAccept: application/x-ndjson\r\n\r\n`,
  )
  await once(socket, 'readable')
  await listener[Symbol.asyncDispose]()
  socket.destroy()
  t.pass('stopped')
})

t.test('a client that leaves ends its wait', async (t) => {
  const { url, catalog, stream, table, app } = await serve(t, { MILLRACE_LIMITS_MAX_WAITING: '1' })
  await stream('clicks')
  await table('counts', { codec: 'json' }, { ada: '1' })
  catalog.fakes = [{ name: 'counts', inputs: ['clicks'] }]
  const emitted = await app.request('/emitters/clicks/ada', { method: 'POST', body: '1' })
  const { token } = (await emitted.json()) as { token: string }
  const path = `/views/counts/ada?after=${token}`
  const client = get(new URL(path, url))
  client.on('error', () => {})
  while (catalog.waits === 0) await new Promise((resolve) => setImmediate(resolve))
  t.equal((await app.request(path)).status, 429)
  client.destroy()
  let status = 429
  // The place becomes free when the other side hears of it.
  while (status === 429) {
    await new Promise((resolve) => setImmediate(resolve))
    status = (await app.request(`${path}&timeoutMs=1`)).status
  }
  t.equal(status, 504)
})
