// The view with what another system writes, also when its copy is lost, and as the README shows it; test-kafka/views.test.ts cuts it off.
import { testHost } from 'millrace/testing'
import t from 'tap'
import prices from '../../examples/06-reconnecting-view/functions/prices.js'
import { checkSession, startExample } from '../support/example-readme.js'

const root = 'examples/06-reconnecting-view'

t.test('the view has what the other system has', async (t) => {
  await using host = await testHost({ prices })
  const shop = host.foreignTable('shop-table')
  await shop.set('lamp', { cents: 1900 })
  await shop.set('chair', { cents: 4500 })
  await host.crash({ store: 'lost' })
  await shop.set('lamp', { cents: 1800 })
  await shop.delete('chair')
  await host.settled()
  t.same(await host.table('prices').entries(), [['lamp', { cents: 1800 }]])
})

t.test('the README does what it shows', async (t) => {
  const host = await startExample(t, root)
  await checkSession(t, root, host)
})
