// The view follows what it is a copy of, on the embedded log, as its README shows; test-kafka/views.test.ts cuts it off.
import t from 'tap'
import { checkSession, startExample } from '../support/example-readme.js'

const root = 'examples/06-reconnecting-view'

t.test('the README does what it shows', async (t) => {
  const host = await startExample(t, root)
  await checkSession(t, root, host)
})
