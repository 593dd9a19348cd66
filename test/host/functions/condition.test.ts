// What a function is shown to be at fault with, when several things befall it.
import t from 'tap'
import { HostError, toPlainError } from '#host/errors.js'
import { Condition } from '#host/functions/condition.js'
import { showError } from '#host/functions/failure.js'

const shown = (error: HostError) => showError(toPlainError(error), undefined)

t.test('a trouble that has passed does not hide what it has halted for', (t) => {
  const condition = new Condition({ isPaused: false, quarantined: undefined, changed: () => {} })
  condition.enter('active')
  condition.recovering([0, 1])
  condition.trouble = shown(new HostError('STORE_FAILED', 'the store was closed'))
  t.match(condition.error, { code: 'STORE_FAILED' })
  condition.started()
  condition.opened(0, 'running')
  condition.halted(shown(new HostError('HANDLER_FAILED', 'the record')), 0)
  condition.opened(1, 'running')
  t.equal(condition.state, 'halted')
  t.match(condition.error, { code: 'HANDLER_FAILED' })
  t.end()
})
