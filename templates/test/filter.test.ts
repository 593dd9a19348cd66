import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testHost } from 'millrace/testing'
import definition from '../functions/filter.ts'

const name = 'filter'

test('passes large orders on, and only those', async () => {
  await using host = await testHost({ [name]: definition })
  await host.emit('orders', 'a', { total: 99 })
  await host.emit('orders', 'b', { total: 100 })
  const found = await host.stream('large-orders').next()
  assert.deepEqual([found?.key, found?.value], ['b', { total: 100 }])
})
