// Tables in a journal and in memory: through crashes and with what is stored lost; and as the README shows them.
import { testHost } from 'millrace/testing'
import t from 'tap'
import count from '../../examples/07-store/functions/count.js'
import latest from '../../examples/07-store/functions/latest.js'
import { checkSession, startExample } from '../support/example-readme.js'

const root = 'examples/07-store'

t.test('both have what the log has, whatever becomes of the stores', async (t) => {
  await using host = await testHost({ count, latest })
  for (let n = 0; n < 30; n += 1) {
    await host.emit('clicks', `user-${n % 3}`, `/${n}`)
    if (n % 7 === 3) await host.crash()
    if (n === 20) await host.crash({ store: 'lost' })
  }
  await host.settled()
  t.same(await host.table('count').entries(), [
    ['user-0', 10n],
    ['user-1', 10n],
    ['user-2', 10n],
  ])
  t.same(await host.table('latest').entries(), [
    ['user-0', '/27'],
    ['user-1', '/28'],
    ['user-2', '/29'],
  ])
})

t.test('the README does what it shows', async (t) => {
  const host = await startExample(t, root)
  await checkSession(t, root, host)
})
