// A failure as it is shown: its class, its causes, and the way to it.
import t from 'tap'
import { HostError, toPlainError } from '#host/errors.js'
import { describeError, showError } from '#host/functions/failure.js'

class NoStock extends Error {}

t.test('names the class of what was thrown, and each cause that says more', (t) => {
  const cause = new RangeError('no shelf', { cause: new NoStock('none left') })
  const shown = showError(toPlainError(new TypeError('deep inside', { cause })), undefined)
  t.match(shown, {
    message: 'deep inside',
    name: 'TypeError',
    causes: ['RangeError: no shelf', 'NoStock: none left'],
  })
  t.equal(
    describeError(shown),
    'HANDLER_FAILED: TypeError: deep inside\ncaused by: RangeError: no shelf\ncaused by: NoStock: none left',
  )
  const wrapped = new HostError('LOAD_FAILED', 'none left', { cause: new NoStock('none left') })
  t.equal(
    describeError(showError(toPlainError(wrapped), undefined)),
    'LOAD_FAILED: NoStock: none left',
    'what the host wraps is not said twice',
  )
  const own = new HostError('BAD_DEFINITION', 'no inputs')
  t.equal(describeError(showError(toPlainError(own), undefined)), 'BAD_DEFINITION: no inputs')
  t.end()
})
