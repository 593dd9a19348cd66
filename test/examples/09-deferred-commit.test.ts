// Notes on their way to another host, which is there, is not, or dies with its answer; and as the README shows them.
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { testHost } from 'millrace/testing'
import t, { type Test } from 'tap'
import arrived from '../../examples/09-deferred-commit/functions/arrived.js'
import forward from '../../examples/09-deferred-commit/functions/forward.js'
import { checkSession, startExample } from '../support/example-readme.js'

const root = 'examples/09-deferred-commit'

interface Line {
  readonly key: string
  readonly value: { text: string; offset: number }
}

/** The other host, as far as `forward` knows it; gives its address. `false`: it refuses. */
async function otherHost(
  t: Test,
  take: (body: string, request: IncomingMessage) => Promise<boolean>,
) {
  const server = createServer((request, response) => {
    void text(request)
      .then((body) => take(body, request))
      .catch(() => false)
      .then((isTaken) => response.writeHead(isTaken ? 201 : 503).end())
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return `http://127.0.0.1:${port}`
}

/** Functions in this thread read what is said here. */
async function forwardTo(t: Test, take: (lines: readonly Line[]) => Promise<boolean>) {
  const linesOf = (body: string) => body.split('\n').map((line): Line => JSON.parse(line))
  process.env.OTHER_HOST = await otherHost(t, (body) => take(linesOf(body)))
  t.teardown(() => delete process.env.OTHER_HOST)
}

t.test('notes arrive in batches, each once', async (t) => {
  const batches: (readonly Line[])[] = []
  await forwardTo(t, async (lines) => {
    batches.push(lines)
    return true
  })
  await using host = await testHost({ forward })
  const notes = Array.from({ length: 50 }, (_, n) => `note ${n}`)
  await Promise.all(notes.map((note) => host.emit('notes', 'alice', note)))
  await host.settled()
  t.same(
    batches.flat().map(({ value }) => value.text),
    notes,
  )
  t.ok(batches.length < notes.length, `${batches.length} batches`)
})

t.test('what is refused is sent again, before what came after it', async (t) => {
  let refuse = () => {}
  const refused = new Promise<void>((resolve) => {
    refuse = resolve
  })
  let batches = 0
  await forwardTo(t, async (lines) => {
    batches += 1
    if (batches === 1) await refused
    else for (const { key, value } of lines) await host.emit('forwarded', key, value)
    return batches > 1
  })
  await using host = await testHost({ forward, arrived })
  for (let n = 0; n < 20; n += 1) await host.emit('notes', 'alice', `note ${n}`)
  // All of them have been handled, and wait behind the first batch.
  await host.advance(1_000)
  refuse()
  await host.settled()
  t.match(host.table('arrived').get('alice'), { notes: 20, last: 'note 19' })
})

t.test('a note whose answer is lost comes again, and counts once', async (t) => {
  let taken = 0
  await forwardTo(t, async (lines) => {
    for (const { key, value } of lines) await host.emit('forwarded', key, value)
    taken += lines.length
    // Of the first answer nothing is heard.
    return taken > lines.length
  })
  await using host = await testHost({ forward, arrived })
  await host.emit('notes', 'alice', 'hello')
  await host.emit('notes', 'alice', 'bye')
  await host.settled()
  t.ok(taken > 2, `${taken} arrived`)
  t.match(host.table('arrived').get('alice'), { notes: 2, last: 'bye' })
})

t.test('when nobody takes them the function halts, and goes on at the first of them', async (t) => {
  let isThere = false
  const found: string[] = []
  await forwardTo(t, async (lines) => {
    if (isThere) found.push(...lines.map(({ value }) => value.text))
    return isThere
  })
  await using host = await testHost({ forward })
  await host.emit('notes', 'alice', 'hello')
  await host.emit('notes', 'alice', 'bye')
  await t.rejects(host.settled(), /halted at notes.*offset 0.*after 12 attempts/)
  isThere = true
  host.resume('forward')
  await host.settled()
  t.same(found, ['hello', 'bye'])
})

t.test('the README does what it shows', async (t) => {
  let url = ''
  const itself = await otherHost(t, async (body, request) => {
    const { ok } = await fetch(url + request.url, { method: 'POST', body })
    return ok
  })
  const host = await startExample(t, root, { OTHER_HOST: itself })
  url = host.url
  await checkSession(t, root, host)
})
