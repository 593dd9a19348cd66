// What the README shows of three functions: that of the command line, and that of HTTP.
import t from 'tap'
import { checkSession, startExample } from '../support/example-readme.js'

const root = 'examples/08-monitoring'

t.test('the README does what it shows', async (t) => {
  const host = await startExample(t, root)
  await checkSession(t, root, host)
})
