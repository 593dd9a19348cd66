import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testHost } from 'millrace/testing'
import refusals from '../functions/refusals.ts'
import stock from '../functions/stock.ts'

test('one input: what was delivered is in stock', async () => {
  await using host = await testHost({ stock })
  await host.emit('deliveries', 'lamp', 3)
  await host.emit('deliveries', 'lamp', 2)
  await host.settled()
  assert.equal(host.table('stock').get('lamp'), 5n)
})

test('an output: each order is answered, in order', async () => {
  await using host = await testHost({ stock })
  await host.emit('deliveries', 'lamp', 3)
  await host.emit('orders', 'lamp', { id: 'first', pieces: 3 })
  await host.emit('orders', 'lamp', { id: 'second', pieces: 1 })
  const answers = host.stream('answers')
  const first = await answers.next()
  assert.deepEqual([first?.key, first?.value], ['first', { item: 'lamp', isTaken: true }])
  assert.deepEqual((await answers.next())?.value, { item: 'lamp', isTaken: false })
  assert.equal(await answers.next(), undefined)
})

test('several functions, and a visit', async () => {
  await using host = await testHost({ stock, refusals })
  await host.emit('orders', 'lamp', { id: 'first', pieces: 1 })
  await host.settled()
  assert.equal(host.table('refusals').get('first'), 'lamp')
  await host.visit('refusals', 'apologise')
  const apology = await host.stream('apologies').next()
  assert.deepEqual([apology?.key, apology?.value], ['first', 'sorry, there is no lamp left'])
  assert.equal(host.table('refusals').has('first'), false)
})

test('what cannot be: the function halts at the record', async () => {
  await using host = await testHost({ stock })
  await host.emit('orders', 'lamp', { id: 'first', pieces: 0 })
  await assert.rejects(host.settled(), /order first is for 0 pieces/)
  assert.equal(host.function('stock').state, 'halted')
  assert.equal(host.stream('answers').size, 0)
})

for (let seed = 1; seed <= 5; seed += 1) {
  test(`nothing is sold twice, whatever happens (seed ${seed})`, async () => {
    await using host = await testHost({ stock, refusals }, { seed, faults: true })
    await host.emit('deliveries', 'lamp', 4)
    for (let n = 0; n < 10; n += 1) {
      await host.emit('orders', 'lamp', { id: `order-${n}`, pieces: 1 })
      if (n % 3 === 0) await host.crash()
      if (n % 4 === 0) await host.rebalance({ lost: true })
    }
    await host.settled()
    assert.equal(host.table('stock').get('lamp'), 0n)
    assert.equal(host.stream('answers').size, 10)
    assert.equal(await host.table('refusals').size(), 6)
  })
}
