// What the bench computes by: figures, input and load, for a wrong ruler measures nothing.
import { once } from 'node:events'
import { createServer } from 'node:http'
import t from 'tap'
import { assertCounts } from '#bench/counting.js'
import { chunks, countByKey, makeEvents } from '#bench/events.js'
import { median, percentile, type Result, ratio } from '#bench/figure.js'
import { countFloor, packEvents } from '#bench/floor.js'
import { loadWith } from '#bench/load.js'
import { asTable } from '#bench/report.js'
import { testFolder } from '../support/folder.js'

t.test('medians and percentiles are those of the sorted samples', async (t) => {
  t.equal(median([9, 1, 10]), 9)
  t.equal(median([4, 1, 2, 10]), 3)
  const hundred = Array.from({ length: 100 }, (_, n) => 100 - n)
  t.equal(percentile(hundred, 0.5), 51)
  t.equal(percentile(hundred, 0.99), 100)
  t.equal(percentile([7], 0.99), 7)
})

t.test('a ratio compares what ran side by side', async (t) => {
  const figure = { name: 'f', unit: 'x' }
  // Both were slowed down in the second run: the medians alone would say 2.
  t.equal(ratio({ ...figure, samples: [30, 3, 20], peer: { name: 'p', samples: [10, 1, 10] } }), 3)
  t.equal(ratio({ ...figure, samples: [1] }), undefined)
})

t.test('events are the same each time, and spread over all keys', async (t) => {
  const events = [...makeEvents(5000, 100)]
  t.same(events, [...makeEvents(5000, 100)])
  const counts = countByKey(events)
  t.equal(counts.size, 100)
  t.equal(
    [...counts.values()].reduce((sum, count) => sum + count),
    5000,
  )
  t.ok(Math.min(...counts.values()) > 10)
  const [{ value } = { value: '' }] = events
  t.ok(JSON.parse(value))
  t.ok(value.length > 75 && value.length < 105, `${value.length} bytes`)
  t.same(
    [...chunks(events, 999)].map(({ length }) => length),
    [999, 999, 999, 999, 999, 5],
  )
})

t.test('the floor reads back what was packed', async (t) => {
  const path = testFolder(t)
  await packEvents(path, makeEvents(2500, 10))
  t.ok((await countFloor(path)) > 0)
  await packEvents(testFolder(t), [{ key: 'ä', value: 'no JSON' }])
  await t.rejects(countFloor(path), SyntaxError)
})

t.test('the load counts each answer once and refuses any but 200', async (t) => {
  let answers = 0
  let status = 200
  const paths = new Set<string>()
  const server = createServer((request, response) => {
    answers += 1
    paths.add(request.url ?? '')
    const body = `{"n":"ä${'x'.repeat((answers * 379) % 3000)}"}`
    if (answers % 2 === 0) response.setHeader('content-length', Buffer.byteLength(body))
    response.writeHead(status)
    response.write(body.slice(0, 5))
    response.end(body.slice(5))
  })
  t.teardown(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const load = { url: `http://127.0.0.1:${port}`, paths: ['/a', '/b', '/c'], connections: 4 }
  const rate = await loadWith({ ...load, durationMs: 100 })
  // Each connection ends with an answer, so none is left over.
  t.ok(rate > 0 && rate <= answers * 10, `${answers} answers are ${rate} a second`)
  t.same([...paths].sort(), ['/a', '/b', '/c'])
  status = 404
  await t.rejects(loadWith({ ...load, durationMs: 100 }), { message: /404/ })
})

t.test(
  'a table tells whether targets are met: of the ratio to a peer, or of the figure itself',
  async (t) => {
    const unit = 'ms'
    const peer = { name: 'peer', samples: [10, 10] }
    const lineOf = (result: Omit<Result, 'name' | 'unit'>) =>
      asTable([{ name: 'figure', unit, ...result }]).split('\n')[3] ?? ''
    t.match(
      lineOf({ samples: [20, 22], peer: { ...peer, target: { atLeast: 2 } } }),
      '2.10 │ ≥ 2, met',
    )
    t.match(lineOf({ samples: [18, 20], peer: { ...peer, target: { atLeast: 2 } } }), '≥ 2, missed')
    t.match(lineOf({ samples: [7, 9], target: { atMost: 8 }, peer }), '0.80 │ ≤ 8, met')
    t.match(lineOf({ samples: [7, 10], target: { atMost: 8 }, peer }), '≤ 8, missed')
    t.notMatch(asTable([{ name: 'figure', unit, samples: [1], peer }]), 'target')
  },
)

t.test('a wrong total is refused, whatever is wrong with it', async (t) => {
  const right = new Map([
    ['a', 1],
    ['b', 2],
  ])
  assertCounts(new Map(right), right)
  t.throws(() => assertCounts(new Map([['a', 1]]), right), {
    message: 'the table has 1 keys, not 2',
  })
  t.throws(() => assertCounts(new Map(right).set('b', 3), right), {
    message: 'b was counted 3 times, not 2',
  })
})
