// Clicks over HTTP, as the README shows them.
import t from 'tap'
import { checkSession, startExample } from '../support/example-readme.js'

const root = 'examples/02-clicks'

t.test('the README does what it shows', async (t) => {
  const host = await startExample(t, root)
  await checkSession(t, root, host)
  const answer = await fetch(`${host.url}/views/users/alice`)
  t.same(await answer.json(), { clicks: 2, lastPage: '/cart' }, 'what was refused has not counted')
})
