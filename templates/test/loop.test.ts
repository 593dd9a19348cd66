import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testHost } from 'millrace/testing'
import definition from '../functions/loop.ts'

const name = 'loop'

test('what one account gives the other gets, also through a crash', async () => {
  await using host = await testHost({ [name]: definition }, { seed: 3, faults: true })
  await host.emit('transfers', 'alice', { to: 'bob', amount: 5 })
  await host.emit('transfers', 'bob', { to: 'carol', amount: 2 })
  await host.crash()
  await host.settled()
  const balance = (key: string) => host.table(name).get(key)?.balance
  assert.deepEqual(['alice', 'bob', 'carol'].map(balance), [-5, 3, 2])
})
