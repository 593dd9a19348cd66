// The function that a new user edits, tested as the README says.
import { testHost } from 'millrace/testing'
import t from 'tap'
import clickCount from '../../functions/click-count.js'

t.test('each click of a visitor counts once', async (t) => {
  await using host = await testHost({ clickCount })
  await host.emit('clicks', 'alice', { page: '/' })
  await host.emit('clicks', 'alice', { page: '/home' })
  await host.settled()
  t.same(host.table('clickCount').get('alice'), { count: 2, lastPage: '/home' })
})
