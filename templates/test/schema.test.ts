import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testHost } from 'millrace/testing'
import definition from '../functions/schema.ts'

const name = 'schema'

test('keeps the least and the most', async () => {
  await using host = await testHost({ [name]: definition })
  for (const celsius of [12, -3, 30]) await host.emit('readings', 'roof', { celsius })
  await host.settled()
  assert.deepEqual(host.table(name).get('roof'), { least: -3, most: 30 })
})

test('refuses what no thermometer shows', async () => {
  await using host = await testHost({ [name]: definition })
  await assert.rejects(host.emit('readings', 'roof', { celsius: 400 }), { code: 'BAD_VALUE' })
})
