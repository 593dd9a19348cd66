// The count by itself, and as its README shows it.
import { testHost } from 'millrace/testing'
import t from 'tap'
import count from '../../examples/01-count/functions/count.js'
import { checkSession, startExample } from '../support/example-readme.js'

const root = 'examples/01-count'

t.test('each click counts once, also through crashes', async (t) => {
  await using host = await testHost({ count })
  for (let n = 0; n < 10; n += 1) {
    await host.emit('clicks', `user-${n % 3}`, '/home')
    if (n % 4 === 0) await host.crash()
  }
  await host.settled()
  t.same(await host.table('count').entries(), [
    ['user-0', 4n],
    ['user-1', 3n],
    ['user-2', 3n],
  ])
})

t.test('the README does what it shows', async (t) => {
  const host = await startExample(t, root)
  await checkSession(t, root, host)
})
