// Requests between instances, and their answers, with somebody in between who hears all, changes what he likes, and has no secret.
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type ServerResponse,
} from 'node:http'
import t, { type Test } from 'tap'
import { Admission, maxClockSkewMs } from '#host/cluster/admission.js'
import { PieceReader, PieceWriter } from '#host/cluster/pieces.js'
import { proveRequest, writeProof } from '#host/cluster/proof.js'
import { SeenRequests } from '#host/cluster/seen-requests.js'
import { got, keyIn, secret, startPair, tell } from './two-instances.js'

interface Message {
  path: string
  method: string
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
}

type Change = (message: Message) => void
const nothing: Change = () => {}

/** `one` reaches `two` through it. `asked` and `answered` may change what goes by. */
async function between(t: Test) {
  const keys = [0, 1, 2, 3].map(keyIn)
  const { one, two } = await startPair(t, keys, (_, isOwn) => (isOwn ? '"new"' : '"old"'))
  const way = { asked: nothing, answered: nothing }
  const heard: Message[] = []
  let connections = 0
  const ask = (to: Message) =>
    new Promise<IncomingMessage>((resolve) => {
      const { hostname, port } = new URL(two.url)
      const { method, path, headers } = to
      request({ hostname, port, method, path, headers, agent: false }, resolve).end(to.body)
    })
  const pass = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const sent = Buffer.concat(await incoming.toArray())
    const { method = '', url: path = '', headers } = incoming
    const message: Message = { method, path, headers, body: sent, status: 0 }
    heard.push({ ...message })
    way.asked(message)
    if (sent.length > 0) message.headers['content-length'] = String(message.body.length)
    const answer = await ask(message)
    const body = Buffer.concat(await answer.toArray())
    const told = { ...message, body, headers: answer.headers, status: answer.statusCode ?? 0 }
    way.answered(told)
    heard.push({ ...told })
    const { 'transfer-encoding': _, connection: __, ...shown } = told.headers
    if (method !== 'HEAD') shown['content-length'] = String(told.body.length)
    outgoing.writeHead(told.status, shown).end(told.body)
  }
  const server = createServer((incoming, outgoing) => void pass(incoming, outgoing))
  server.on('connection', () => {
    connections += 1
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  tell(
    one,
    [one, 0, 1],
    [{ name: 'two', url: `http://127.0.0.1:${Object(server.address()).port}` }, 2, 3],
  )
  return { one, two, way, heard, connections: () => connections }
}

/** The answer to a POST whose body, of which this is the beginning, does not come to its end. */
async function unended(
  url: string,
  { path, headers, body }: Pick<Message, 'path' | 'headers' | 'body'>,
) {
  const { hostname, port } = new URL(url)
  return await new Promise<IncomingMessage>((resolve) => {
    const asked = { hostname, port, method: 'POST', path, headers, agent: false }
    const asking = request(asked, (answer) => {
      resolve(answer)
      asking.destroy()
    })
    asking.on('error', () => {})
    asking.write(body)
  })
}

const [path, stranger] = [`/views/counts/${keyIn(2)}`, { name: 'two', url: '' }]
const batch = { method: 'POST', body: JSON.stringify({ keys: [keyIn(2), keyIn(3)] }) }
const refused = { status: 502, text: /PEER_REFUSED/ }

t.test('what is passed on as it is answers, over one connection', async (t) => {
  const { one, connections } = await between(t)
  for (let n = 0; n < 3; n++) {
    t.match(await got(path, one), { status: 200, text: '"new"' })
    t.match(await got(path, one, { method: 'HEAD' }), { headers: { 'content-length': '5' } })
    t.match(await got('/views/counts', one, batch), { status: 200, text: /"new".*"new"/ })
    t.match(await got('/views/counts', one), { status: 200 })
    t.match(await got('/views/counts/absent', one), { status: 404 })
  }
  t.equal(connections(), 1)
})

t.test('a request that was changed is not answered', async (t) => {
  const { one, way } = await between(t)
  const cases: Record<string, Change> = {
    'another key': (message) => {
      message.path = message.path.replace(keyIn(2), keyIn(3))
    },
    'more of it': (message) => {
      message.path += message.path.includes('?') ? '&stale=ok' : '?stale=ok'
    },
    'another instance': (message) => {
      message.headers['millrace-to'] = 'three'
    },
    'no proof': (message) => {
      delete message.headers['millrace-cluster']
    },
  }
  for (const [name, change] of Object.entries(cases)) {
    way.asked = change
    t.match(await got(path, one), { ...refused, text: /PEER_REFUSED.*same secret/ }, name)
  }
  way.asked = (message) => {
    message.body = Buffer.from(message.body.toString().replace(keyIn(3), keyIn(2)))
  }
  t.match(await got('/views/counts', one, batch), { ...refused, text: /not the one that was sent/ })
})

t.test('an answer that was changed is not taken', async (t) => {
  const { one, way, heard } = await between(t)
  const cases: Record<string, Change> = {
    'another value': (message) => {
      message.body = Buffer.from('"own"')
    },
    'another status': (message) => {
      message.status = 404
    },
    'another type': (message) => {
      message.headers['content-type'] = 'text/html'
    },
    marked: (message) => {
      message.headers['millrace-stale'] = 'true'
    },
    'by another': (message) => {
      message.headers['millrace-instance'] = 'three'
    },
    'without proof': (message) => {
      delete message.headers['millrace-cluster']
    },
  }
  for (const [name, change] of Object.entries(cases)) {
    way.answered = change
    t.match(await got(path, one), { ...refused, text: /does not prove that it is.*two/ }, name)
  }
  way.answered = nothing
  await got(path, one)
  const before = heard.at(-1)
  way.answered = (message) => Object.assign(message, before)
  t.match(await got(path, one), refused, 'one that was given before')
  way.answered = (message) => {
    message.headers['content-length'] = '7'
    message.body = Buffer.from('"other"')
  }
  t.match(await got(path, one, { method: 'HEAD' }), { status: 502 })
})

t.test('a list that was changed is not taken, and one that was cut is not whole', async (t) => {
  const { one, way } = await between(t)
  const list = async (change: Change) => {
    way.answered = change
    return await got('/views/counts', one)
  }
  t.match(await list(nothing), { status: 200, text: /"new".*"new".*"new".*"new"/ })
  const changed = await list((message) => {
    message.body = Buffer.from(message.body.toString('latin1').replace('"new"', '"own"'), 'latin1')
  })
  t.match(changed, refused)
  const cut = await list((message) => {
    message.body = message.body.subarray(0, -20)
  })
  t.match(cut, { status: 503, text: /PEER_UNREACHABLE.*broke off/ })
  const none = await list((message) => {
    message.body = Buffer.alloc(0)
  })
  t.match(none, { status: 503 })
})

t.test('what was heard does nothing again', async (t) => {
  const { one, two, heard } = await between(t)
  for (const { catalog } of [one, two]) {
    catalog.views.add('counts')
    catalog.fakes = [{ name: 'counts', inputs: [] }]
  }
  await got('/views/counts/key-1', one, { method: 'DELETE' })
  const sent = heard.find(({ method }) => method === 'DELETE')
  const headers = Object(sent?.headers)
  const again = await got(sent?.path ?? '', two, { method: 'DELETE', headers })
  t.match(again, { status: 403, text: /has come before/ })
  t.equal(two.catalog.evicted.length, 1)
  const other = await got('/cluster/views/counts/key-2', two, { method: 'DELETE', headers })
  t.match(other, { status: 403, text: /not what has come/ })
})

t.test('no more of a body is read than was sent behind its head', async (t) => {
  const { one, two, heard } = await between(t)
  await got('/views/counts', one, batch)
  const sent = heard.find(({ method }) => method === 'POST')
  const { path = '', headers = {}, body = Buffer.alloc(0) } = sent ?? {}
  const { 'content-length': _, ...others } = headers
  const more = Buffer.concat([body, Buffer.from(' ')])
  const answered = async (length: object) => {
    const message = { path, headers: { ...others, ...length }, body: more }
    return (await unended(two.url, message)).statusCode
  }
  t.equal(await answered({ 'content-length': '1000000000' }), 403, 'with its length told')
  t.equal(await answered({}), 403, 'and without')
})

t.test(
  'without a secret: whoever answers in the place of the one that was asked is not believed',
  async (t) => {
    const { one } = await startPair(t, [], () => '', { secret: '', graceMs: 50 })
    const server = createServer((_, response) => {
      response.setHeader('millrace-instance', 'three').end('"wrong"')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.teardown(() => server.close())
    const url = `http://127.0.0.1:${Object(server.address()).port}`
    tell(one, [one, 0, 1], [{ ...stranger, url }, 2, 3])
    t.match(await got(path, one), { status: 503, text: /PEER_UNREACHABLE.*three answers/ })
  },
)

t.test('clocks that differ too much are told of', (t) => {
  const said = { method: 'GET', path: '/', to: 'two' }
  const sent = proveRequest('secret', said, '')
  for (const sign of [-1, 1]) {
    const by = (ms: number) =>
      new Admission({ credential: 'secret', isOpen: false }, () => sent.time + sign * ms)
    const admit = (admission: Admission) => {
      const proof = admission.proven(writeProof(sent), said)
      if (proof !== undefined) admission.once(proof, true)
    }
    admit(by(maxClockSkewMs))
    t.throws(() => admit(by(maxClockSkewMs + 1_000)), {
      code: 'FORBIDDEN',
      message: /clocks .* differ by 301 s/,
    })
  }
  t.end()
})

t.test('what has come is remembered in bounded room', (t) => {
  let now = 0
  const seen = new SeenRequests({ keptMs: 10, maxRequests: 8, now: () => now })
  const isNew = (n: number) => seen.isNew(`n${n}`, n)
  for (let n = 1; n <= 8; n++) t.ok(isNew(n))
  for (let n = 1; n <= 8; n++) t.notOk(isNew(n))
  t.ok(isNew(9), 'two had to be forgotten')
  for (let n = 1; n <= 9; n++) t.notOk(isNew(n), `and are not new for that: ${n}`)
  t.ok(isNew(10))
  now = 10
  for (let n = 3; n <= 10; n++) t.ok(isNew(n), 'too old by then, for who looks at its time')
  t.end()
})

t.test('pieces come as they were, in their order, and in bounded ones', (t) => {
  const bytes = Buffer.alloc(3 * 1024 * 1024, 'x')
  const writer = new PieceWriter(secret, 'answer')
  const pieces = [...writer.write(bytes), ...writer.write(Buffer.from('rest')), writer.end()]
  t.equal(pieces.length, 5)
  const read = (...given: readonly Buffer[]) => {
    const reader = new PieceReader(secret, 'answer')
    let length = 0
    for (const piece of given) {
      const found = reader.read(piece)
      if (found === undefined) return undefined
      length += Buffer.concat(found).length
    }
    return { isWhole: reader.isWhole, length }
  }
  const whole = { isWhole: true, length: bytes.length + 4 }
  t.same(read(...pieces), whole)
  t.same(read(Buffer.concat(pieces)), whole)
  t.match(read(...pieces.slice(0, -1)), { isWhole: false })
  const [first = bytes, second = bytes, ...others] = pieces
  t.equal(read(second, first, ...others), undefined)
  t.equal(read(first, ...others), undefined)
  t.equal(read(...pieces, Buffer.from([0])), undefined, 'behind its end')
  t.equal(read(Buffer.from([0xff, 0xff, 0xff, 0xff])), undefined, 'not waited for')
  const other = new PieceReader(secret, 'another answer')
  t.equal(other.read(first), undefined)
  t.end()
})
