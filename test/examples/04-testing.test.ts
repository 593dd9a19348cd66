// The tests of the example, run as its README says, and its functions built and loaded as a host would.
import t from 'tap'
import { Command } from '../support/command.js'
import { checkSession } from '../support/example-readme.js'

const root = 'examples/04-testing'

t.test('the README does what it shows', (t) => checkSession(t, root))

t.test('the functions are ones', async (t) => {
  const check = new Command(t, ['check', '--root', root])
  t.equal((await check.ended).code, 0, check.out + check.err)
})
