// The counts when partitions go from one instance to another, after a flush and without one, and with one instance as the README shows.
import { testHost } from 'millrace/testing'
import t from 'tap'
import clicks from '../../examples/05-instances/functions/clicks.js'
import { checkSession, startExample } from '../support/example-readme.js'

const root = 'examples/05-instances'

t.test('each click counts once, whoever has its partition', async (t) => {
  await using host = await testHost({ clicks }, { partitions: 8 })
  for (let n = 0; n < 60; n += 1) {
    await host.emit(n % 3 === 0 ? 'app' : 'web', `user-${n % 20}`, '/home')
    if (n % 10 === 9) await host.rebalance({ lost: n % 20 === 9 })
  }
  await host.settled()
  const found = await host.table('clicks').entries()
  t.equal(found.length, 20)
  t.ok(found.every(([, { web, app }]) => web === 2 && app === 1))
})

t.test('the README does what it shows', async (t) => {
  const host = await startExample(t, root)
  await checkSession(t, root, host)
})
