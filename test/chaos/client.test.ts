// What may be concluded from an answer: an event is emitted again only if it is not there for sure.
import t from 'tap'
import { isInexcusable, outcomeOf } from '#chaos/client.js'
import { perhapsWritten } from '#host/log/kafka/append-call.js'

const answer = (status: number, code = '', message = '') => ({ status, code, message, body: {} })

t.test('what became of an emit', async (t) => {
  t.equal(outcomeOf(answer(201)), 'acknowledged')
  t.equal(outcomeOf(answer(503, 'STOPPING')), 'refused')
  t.equal(outcomeOf(answer(0, 'ECONNREFUSED')), 'refused')
  t.equal(
    outcomeOf(answer(503, 'BROKER_UNAVAILABLE', 'nothing was written: it is away')),
    'refused',
  )
  const { code, message } = perhapsWritten()
  t.equal(outcomeOf(answer(503, code, message)), 'unknown')
  t.equal(outcomeOf(answer(0, 'UND_ERR_SOCKET')), 'unknown')
  // Of a host that has fallen silent: it may have got the request, and may still answer it.
  for (const code of ['TimeoutError', 'EHOSTUNREACH', 'ETIMEDOUT', 'UND_ERR_CONNECT_TIMEOUT'])
    t.equal(outcomeOf(answer(0, code)), 'unknown', code)
})

t.test('what no fault excuses', async (t) => {
  t.notOk(isInexcusable(answer(201)))
  t.notOk(isInexcusable(answer(0, 'ECONNREFUSED')))
  t.notOk(isInexcusable(answer(503, 'RECOVERING')))
  t.notOk(isInexcusable(answer(404, 'KEY_NOT_FOUND')))
  t.ok(isInexcusable(answer(404, 'UNKNOWN_STREAM')))
  t.ok(isInexcusable(answer(500, 'INTERNAL')))
  t.ok(isInexcusable(answer(400, 'BAD_TOKEN')))
})
