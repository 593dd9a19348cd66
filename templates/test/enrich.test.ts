import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testHost } from 'millrace/testing'
import definition from '../functions/enrich.ts'

const name = 'enrich'

test('adds the country, and asks again when the service fails', async (t) => {
  process.env.CUSTOMERS_URL = 'http://customers.test'
  const answers = [new Response('busy', { status: 503 }), Response.json({ country: 'CH' })]
  const ask = t.mock.method(globalThis, 'fetch', async () => answers.shift() ?? Response.error())
  await using host = await testHost({ [name]: definition })
  await host.emit('enrich-orders', 'order-1', { customer: 'alice', total: 20 })
  const found = await host.stream('enrich-results').next()
  assert.deepEqual([found?.key, found?.value], ['order-1', { total: 20, country: 'CH' }])
  assert.equal(ask.mock.callCount(), 2)
})
