// `emit` against hosts that are busy, break off or refuse: what is said is what was acknowledged.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import { encodeToken } from '#host/http/token.js'
import { Command } from '../../support/command.js'
import { until } from '../../support/until.js'

type Answer = (lines: string[], response: ServerResponse) => void

/** A host that answers as it is told; `bodies` are what it got. */
async function fakeHost(t: Test, answer: Answer) {
  const bodies: string[] = []
  const take = async (request: IncomingMessage, response: ServerResponse) => {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    bodies.push(body)
    answer(body.split('\n').filter(Boolean), response)
  }
  const server = createServer((request, response) => void take(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { url: `http://127.0.0.1:${port}`, bodies }
}

const token = (offset: number, partition = 0) =>
  encodeToken({ stream: 'clicks', topicId: 'id', offsets: new Map([[partition, offset]]) })

const accept = (lines: string[], response: ServerResponse, partition = 0) =>
  response
    .writeHead(201)
    .end(JSON.stringify({ count: lines.length, token: token(lines.length, partition) }))

const refuse = (response: ServerResponse, status: number, code: string, details?: object) =>
  response
    .writeHead(status, { 'retry-after': '1' })
    .end(
      JSON.stringify({ error: { code, message: `line 2: ${code}; no line was written`, details } }),
    )

const lines = (count: number) =>
  Array.from({ length: count }, (_, n) => `{"key":"k${n}","value":${n}}\n`).join('')

const emit = (t: Test, url: string, input: string, ...flags: string[]) =>
  new Command(t, ['emit', 'clicks', '--url', url, '--json', ...flags], {}, { input })

const errors = (command: Command) =>
  command.err
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { error: { code: string; details?: { line?: number } } })

t.test('sends a batch again that a busy or stopping host has not taken', async (t) => {
  let asked = 0
  const { url, bodies } = await fakeHost(t, (found, response) => {
    asked++
    if (asked === 1) refuse(response, 429, 'OVERLOADED')
    else if (asked === 2) refuse(response, 503, 'STOPPING')
    else accept(found, response)
  })
  const command = emit(t, url, lines(3))
  t.match(await command.ended, { code: 0 })
  t.match(JSON.parse(command.out), { count: 3, refused: 0, lastLine: 3 })
  t.equal(bodies.length, 3)
})

t.test('gives up when the host stays busy, and says what is acknowledged', async (t) => {
  const { url } = await fakeHost(t, (_, response) => refuse(response, 429, 'OVERLOADED'))
  const command = emit(t, url, lines(3), '--retry-for', '0')
  t.match(await command.ended, { code: 1 })
  t.match(JSON.parse(command.out), { count: 0, lastLine: 0, token: null })
  t.match(errors(command), [{ error: { code: 'OVERLOADED' } }])
})

t.test('never sends a batch again whose answer was lost', async (t) => {
  let asked = 0
  const { url, bodies } = await fakeHost(t, (found, response) => {
    asked++
    if (asked === 1) accept(found, response)
    else response.destroy()
  })
  const command = emit(t, url, lines(1500))
  t.match(await command.ended, { code: 69 })
  t.match(JSON.parse(command.out), { count: 1000, lastLine: 1000 })
  t.match(errors(command), [
    {
      error: {
        code: 'ANSWER_LOST',
        message: /lines 1,001 to 1,500: all of them .* from line 1,501 on was sent.*\+1501.*\+1001/,
        details: { firstLine: 1001, lastLine: 1500 },
      },
    },
  ])
  t.equal(bodies.length, 2)
})

t.test('leaves out a refused line, keeps the order, counts it by its number', async (t) => {
  const { url, bodies } = await fakeHost(t, (found, response) => {
    const bad = found.findIndex((line) => line.includes('bad'))
    if (bad < 0) accept(found, response)
    else refuse(response, 400, 'BAD_LINE', { line: bad + 1 })
  })
  const input = 'a\n\nbad1\nb\nbad2\nbad3\nc'
  const command = emit(t, url, input, '--skip-bad')
  t.match(await command.ended, { code: 1 })
  t.match(JSON.parse(command.out), { count: 3, refused: 3, lastLine: 7 })
  t.same(
    errors(command).map(({ error }) => error.details?.line),
    [3, 5, 6],
  )
  t.same(bodies.filter((body) => !body.includes('bad')).join(''), 'a\nb\nc\n')
})

t.test('ends at a refused line, and says from which line on nothing was written', async (t) => {
  const { url } = await fakeHost(t, (found, response) => {
    const bad = found.findIndex((line) => line.includes('bad'))
    if (bad < 0) accept(found, response)
    else refuse(response, 400, 'BAD_LINE', { line: bad + 1 })
  })
  const command = emit(t, url, `${lines(1200)}bad\n${lines(100)}`)
  t.match(await command.ended, { code: 1 })
  t.match(JSON.parse(command.out), { count: 1000, lastLine: 1000 })
  t.match(errors(command), [
    { error: { code: 'BAD_LINE', details: { line: 1201, lastLine: 1000 } } },
  ])
})

t.test(
  'a first line that is refused: nothing was written, and nothing is to be left out',
  async (t) => {
    const { url } = await fakeHost(t, (_, response) =>
      refuse(response, 400, 'BAD_LINE', { line: 1 }),
    )
    const command = emit(t, url, 'bad\n')
    t.match(await command.ended, { code: 1 })
    t.match(command.err, /nothing was written: mend it and send all again, or leave out/)
  },
)

t.test('halves a batch that is too large for the host', async (t) => {
  const { url } = await fakeHost(t, (found, response) => {
    if (found.length > 100) refuse(response, 413, 'BODY_TOO_LARGE')
    else accept(found, response)
  })
  const command = emit(t, url, lines(1000))
  t.match(await command.ended, { code: 0 })
  t.match(JSON.parse(command.out), { count: 1000, refused: 0 })
})

t.test('one token stands for all batches', async (t) => {
  let asked = 0
  const { url } = await fakeHost(t, (found, response) => accept(found, response, asked++))
  const command = emit(t, url, lines(2000))
  t.match(await command.ended, { code: 0 })
  const both = encodeToken({
    stream: 'clicks',
    topicId: 'id',
    offsets: new Map([
      [0, 1000],
      [1, 1000],
    ]),
  })
  t.equal(JSON.parse(command.out).token, both)
})

t.test('sends a line as soon as it is there, and at Ctrl-C says how far it came', async (t) => {
  const { url, bodies } = await fakeHost(t, (found, response) => accept(found, response))
  const command = new Command(t, ['emit', 'clicks', '--url', url], {}, { input: 'open' })
  command.child.stdin?.write('{"key":"a","value":1}\n')
  await until('the line has arrived', () => bodies.length === 1 || undefined)
  // Its answer may still be on the way.
  command.child.stdin?.write('{"key":"b","value":1}\n')
  await until('the next line has arrived', () => bodies.length === 2 || undefined)
  command.child.kill('SIGINT')
  t.same(await command.ended, { code: 130, signal: null })
  t.match(command.out, /^interrupted: everything up to line [12] is done; [12] lines? acknowledged/)
})

t.test('says that no host is there, with what to do', async (t) => {
  const command = new Command(t, ['emit', 'clicks', 'a', '1', '--url', 'http://127.0.0.1:1'])
  t.match(await command.ended, { code: 69 })
  t.match(command.err, /HOST_UNREACHABLE.*millrace dev.*--url/)
})

t.test('refuses calls that mean nothing', async (t) => {
  for (const args of [
    ['clicks', 'a'],
    ['clicks', 'a', '1', '--delete'],
    ['clicks', 'a', '1', '--file', 'x'],
    ['clicks', '--timestamp', '1'],
    ['clicks', '--file', 'nowhere.ndjson'],
    ['clicks', '--file', 'docs'],
    ['clicks', 'a', '1', '--header', 'x'],
    ['clicks', 'a', '1', '--url', 'ftp://x'],
  ]) {
    const command = new Command(t, ['emit', ...args, '--json'])
    t.match(await command.ended, { code: 64 }, args.join(' '))
    t.match(errors(command), [{ error: { code: 'BAD_USAGE' } }])
  }
  const limit = new Command(t, ['get', 'clicks', '--limit', '0'])
  t.match(await limit.ended, { code: 64 })
  t.match(limit.err, /The least is 1\.\n.*run millrace get --help/)
})
