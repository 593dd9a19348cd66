// A visit asked of one instance: each visits what it has, and whatever becomes of it, what is told is of all of them.
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { askedHeader } from '#host/cluster/headers.js'
import { proofHeader } from '#host/cluster/proof.js'
import { HostError } from '#host/errors.js'
import type { VisitOrder } from '#host/functions/operation.js'
import { type VisitReport, visitAborted } from '#host/processor/visiting.js'
import { until } from '../../support/until.js'
import { got, type Instance, proofOf, startPair, tell } from './two-instances.js'

/** A visit of one instance's partitions: begun, and ended by the test or by its order. */
interface Begun {
  readonly order: VisitOrder
  done(visited: number): void
  fail(error: HostError): void
}

async function visited(t: Test, options: { timeoutMs?: number; secret?: string } = {}) {
  const begun = new Map<string, Begun>()
  /** Each visit of an instance, in turn. */
  const asked: string[] = []
  const refusals = new Map<string, HostError | Promise<HostError>>()
  const visit = async (order: VisitOrder, name: string): Promise<VisitReport> => {
    asked.push(`${name} ${order.visitor} ${order.argument} ${order.partitions}`)
    const refusal = await refusals.get(name)
    if (refusal !== undefined) throw refusal
    if (begun.has(name)) throw new HostError('VISIT_RUNNING', 'one at a time')
    const partitions = order.partitions ?? []
    let stored = 0
    const left = () => ({ visited: stored, failed: 0, vanished: 0, partitions })
    try {
      return await new Promise<VisitReport>((resolve, reject) => {
        const end = () => {
          const why = order.signal.reason === 'drained' ? 'drained' : 'cancelled'
          reject(visitAborted('counts', order.visitor, why, { ...left(), exact: true }))
        }
        begun.set(name, {
          order: {
            ...order,
            progressed: (progress) => {
              stored = progress.visited
              order.progressed(progress)
            },
          },
          done: (count) => {
            stored = count
            resolve(left())
          },
          fail: reject,
        })
        order.progressed({ ...left(), total: null })
        order.signal.addEventListener('abort', end)
        if (order.signal.aborted) end()
      })
    } finally {
      begun.delete(name)
    }
  }
  const { one, two } = await startPair(t, [], () => '', { visit, ...options })
  for (const instance of [one, two]) instance.catalog.fakes = [{ name: 'counts', inputs: [] }]
  const of = async (name: string) => await until(`${name} has begun`, () => begun.get(name))
  return { one, two, begun, asked, refusals, of }
}

const start = (at: Instance, body?: string, headers: Readonly<Record<string, string>> = {}) =>
  got('/functions/counts/visit/add', at, {
    method: 'POST',
    headers,
    ...(body === undefined ? {} : { body }),
  }).then(({ status, text }) => ({
    status,
    text,
    body: text.includes('\n') ? {} : JSON.parse(text),
  }))

const told = (order: VisitOrder, count: number, total: number | null = null) =>
  order.progressed({
    visited: count,
    failed: 0,
    vanished: 0,
    partitions: order.partitions ?? [],
    total,
  })

const counts = { function: 'counts', visitor: 'add', failed: 0, vanished: 0 }

t.test('each instance visits its partitions, whichever is asked', async (t) => {
  const { one, two, asked, of } = await visited(t)
  for (const at of [one, two]) {
    const answer = start(at, '{"by":1}')
    ;(await of('one')).done(3)
    ;(await of('two')).done(4)
    t.match(await answer, {
      status: 200,
      body: { ...counts, visited: 7, partitions: [0, 1, 2, 3] },
    })
  }
  const each = ['one add {"by":1} 0,1', 'two add {"by":1} 2,3']
  t.same(asked, [...each, ...each])
})

t.test('lines tell how far all have come together', async (t) => {
  const { one, of } = await visited(t)
  const answer = start(one, undefined, { accept: 'application/x-ndjson' })
  const [here, there] = [await of('one'), await of('two')]
  told(here.order, 2, 10)
  told(there.order, 5, 20)
  here.done(10)
  there.done(20)
  const lines = (await answer).text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  t.match(lines[0], { partitions: [0, 1, 2, 3] })
  t.match(lines.at(-1), { done: { ...counts, visited: 30, partitions: [0, 1, 2, 3] } })
})

t.test('one that fails ends all, and what all have done is told', async (t) => {
  const { one, of } = await visited(t)
  const answer = start(one)
  const [here, there] = [await of('one'), await of('two')]
  told(here.order, 2)
  const left = { visited: 5, failed: 0, vanished: 0, partitions: [2, 3], exact: true }
  there.fail(new HostError('VISIT_FAILED', 'at the key "a"', { details: { ...left, key: 'a' } }))
  t.match(await answer, {
    status: 500,
    body: {
      error: {
        code: 'VISIT_FAILED',
        message: /two says: at the key "a"; on all instances together: 7 keys were visited/,
        details: { key: 'a', visited: 7, partitions: [0, 1, 2, 3], exact: true },
      },
    },
  })
  t.equal(here.order.signal.reason, 'cancelled')
})

t.test('what one refuses is told as it is when nothing was done, else as an end', async (t) => {
  const { one, two, refusals, asked, of, begun } = await visited(t)
  refusals.set('two', new HostError('NOT_RUNNING', 'counts is paused'))
  t.match(await start(one), {
    status: 409,
    body: { error: { code: 'NOT_RUNNING', message: /two says: counts is paused/ } },
  })
  t.equal(begun.size, 0)
  refusals.clear()
  refusals.set('one', new HostError('RECOVERING', 'counts is joining'))
  asked.splice(0)
  t.match(await start(two), { status: 503, body: { error: { code: 'RECOVERING' } } })
  t.same(asked, ['one add undefined 0,1'], 'the others are not asked')

  refusals.clear()
  let refuse = (_: HostError) => {}
  const refused = new Promise<HostError>((resolve) => {
    refuse = resolve
  })
  refusals.set('two', refused)
  const answer = start(one)
  told((await of('one')).order, 2)
  refuse(new HostError('NOT_RUNNING', 'counts is paused'))
  t.match(await answer, { body: { error: { details: { visited: 2, exact: true } } } })
})

t.test('of two at once one does nothing', async (t) => {
  const { one, two, of } = await visited(t)
  const first = start(two)
  await of('two')
  t.match(await start(one), { status: 409, body: { error: { code: 'VISIT_RUNNING' } } })
  t.match(await start(two), { status: 409, body: { error: { code: 'VISIT_RUNNING' } } })
  ;(await of('one')).done(1)
  ;(await of('two')).done(1)
  t.match(await first, { status: 200, body: { visited: 2 } })
})

t.test('a host that stops ends it everywhere, and tells all that was done', async (t) => {
  for (const stops of ['one', 'two'] as const) {
    const { one, two, of } = await visited(t)
    const answer = start(one)
    const [here, there] = [await of('one'), await of('two')]
    told(here.order, 2)
    told(there.order, 3)
    const stopping = stops === 'one' ? one : two
    stopping.stopping.abort(new HostError('STOPPING', 'the host is stopping'))
    t.match(await answer, {
      status: 409,
      body: {
        error: {
          code: 'VISIT_ABORTED',
          details: { visited: 5, reason: 'drained', exact: true, partitions: [0, 1, 2, 3] },
        },
      },
    })
  }
})

t.test('a client that goes ends it everywhere', async (t) => {
  const { one, of, begun } = await visited(t)
  const { hostname, port } = new URL(one.url)
  const path = '/functions/counts/visit/add'
  const asking = request({ hostname, port, path, method: 'POST', agent: false }).end()
  asking.on('error', () => {})
  const [here, there] = [await of('one'), await of('two')]
  asking.destroy()
  await until('both have ended', () => begun.size === 0)
  t.same([here.order.signal.reason, there.order.signal.reason], ['cancelled', 'cancelled'])
})

t.test('one that is lost leaves the count at least, and says of which partitions', async (t) => {
  const { one, two, of } = await visited(t)
  const answer = start(one)
  const [here, there] = [await of('one'), await of('two')]
  told(here.order, 2)
  told(there.order, 3)
  // It is told there before it is told here.
  const { text } = await linesAt(t, two)
  t.match(text, /VISIT_RUNNING/)
  await two.stop()
  t.match(await answer, {
    status: 409,
    body: {
      error: {
        code: 'VISIT_ABORTED',
        message: /the instance two does not answer .*at least \d keys? w/,
        details: {
          reason: 'unreachable',
          exact: false,
          doubtful: [2, 3],
          partitions: [0, 1, 2, 3],
        },
      },
    },
  })
})

/** As another instance asks for it: what it gets, or its first lines. */
async function linesAt(t: Test, at: Instance, wanted = 1) {
  const path = '/cluster/functions/counts/visits/another'
  const asked = { visitor: 'add', argument: null, isCounted: false, partitions: [2, 3] }
  const body = JSON.stringify(asked)
  const proof = proofOf('a-secret-of-the-cluster', { method: 'POST', path, to: at.name }, body)
  const { hostname, port } = new URL(at.url)
  const headers = { [askedHeader]: at.name, [proofHeader]: proof }
  const asking = request({ hostname, port, path, method: 'POST', agent: false, headers })
  t.teardown(() => asking.destroy())
  asking.on('error', () => {})
  const [answer] = await once(asking.end(body), 'response')
  let text = ''
  for await (const chunk of answer) {
    text += String(chunk)
    if (text.split('"visited"').length > wanted) break
  }
  asking.destroy()
  return { status: answer.statusCode as number, text }
}

t.test(
  'while there is nothing new it is told that it goes on, however long it lasts',
  async (t) => {
    const { two } = await visited(t, { timeoutMs: 20 })
    const { status, text } = await linesAt(t, two, 5)
    t.equal(status, 200)
    t.equal(text.split('"visited":0').length, 6)
  },
)

t.test('one that says nothing is not waited for', async (t) => {
  const { one, begun } = await visited(t, { timeoutMs: 50 })
  const silent = createServer(() => {})
  t.teardown(() => silent.closeAllConnections())
  t.teardown(() => silent.close())
  await once(silent.listen(0, '127.0.0.1'), 'listening')
  const { port } = silent.address() as AddressInfo
  tell(one, [one, 0, 1], [{ name: 'two', url: `http://127.0.0.1:${port}` }, 2, 3])
  t.match(await start(one), {
    status: 409,
    body: {
      error: {
        code: 'VISIT_ABORTED',
        message: /nothing within 50 ms/,
        details: { visited: 0, exact: false, doubtful: [2, 3] },
      },
    },
  })
  t.equal(begun.size, 0)
})

t.test('a partition that nobody has, and instances that may not ask, do nothing', async (t) => {
  const { one, two, asked } = await visited(t)
  tell(one, [one, 0, 1], [two, 2])
  t.match(await start(one), {
    status: 503,
    body: { error: { code: 'RECOVERING', message: /nobody has the partitions 3 of counts/ } },
  })
  const nameless = { instance: 'two', address: undefined, partitions: [2, 3], standbys: [] }
  one.catalog.peers = [...one.catalog.peers.slice(0, 1), nameless]
  t.match(await start(one), { body: { error: { code: 'NOT_ROUTED' } } })
  t.same(asked, [])
})
