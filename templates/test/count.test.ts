import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testHost } from 'millrace/testing'
import definition from '../functions/count.ts'

const name = 'count'

test('counts the clicks of each key', async () => {
  await using host = await testHost({ [name]: definition })
  await host.emit('clicks', 'alice', { page: '/home' })
  await host.emit('clicks', 'bob', { page: '/home' })
  await host.emit('clicks', 'alice', { page: '/cart' })
  await host.settled()
  assert.deepEqual(host.table(name).get('alice'), { count: 2, lastPage: '/cart' })
  assert.deepEqual(host.table(name).get('bob'), { count: 1, lastPage: '/home' })
})

test('counts each click once, also through a crash', async () => {
  await using host = await testHost({ [name]: definition }, { seed: 7 })
  await host.emit('clicks', 'alice', { page: '/home' })
  await host.crash()
  await host.settled()
  assert.equal(host.table(name).get('alice')?.count, 1)
})
