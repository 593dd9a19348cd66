// A visit between clicks, and as the README shows it.
import { testHost } from 'millrace/testing'
import t from 'tap'
import count from '../../examples/10-visit/functions/count.js'
import { checkSession, startExample } from '../support/example-readme.js'

const root = 'examples/10-visit'

t.test('every key is set, and clicks go on being counted', async (t) => {
  await using host = await testHost({ count })
  for (let n = 0; n < 10; n += 1) await host.emit('clicks', `key-${n}`, n)
  await host.settled()
  t.match(await host.visit('count', 'reset', 100), { visited: 10, failed: 0 })
  await host.emit('clicks', 'key-3', 1)
  await host.settled()
  const values = (await host.table('count').entries()).map(([, value]) => value)
  t.same(values, [100n, 100n, 100n, 101n, 100n, 100n, 100n, 100n, 100n, 100n])
})

t.test('what cannot be set ends the visit, and leaves all as it is', async (t) => {
  await using host = await testHost({ count })
  await host.emit('clicks', 'alice', 3)
  await host.settled()
  await t.rejects(host.visit('count', 'reset', 1.5), { code: 'VISIT_FAILED' })
  t.equal(host.table('count').get('alice'), 3n)
  t.equal(host.function('count').state, 'running')
})

t.test('the README does what it shows', async (t) => {
  const host = await startExample(t, root)
  await checkSession(t, root, host)
})
