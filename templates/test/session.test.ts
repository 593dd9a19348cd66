import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testHost } from 'millrace/testing'
import definition from '../functions/session.ts'

const name = 'session'

const minute = 60 * 1000

test('ends a session after half an hour without a visit', async () => {
  await using host = await testHost({ [name]: definition })
  for (const timestamp of [0, 10 * minute, 50 * minute]) {
    await host.emit('visits', 'alice', { page: '/' }, { timestamp })
  }
  const found = await host.stream('sessions').next()
  assert.deepEqual(found?.value, { from: 0, to: 10 * minute, pages: 2 })
  await host.settled()
  assert.equal(host.table(name).get('alice')?.pages, 1)
})
