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

t.test('how far a recovery has come, and that it stands still', (t) => {
  let now = 0
  const condition = new Condition({
    isPaused: false,
    quarantined: undefined,
    changed: () => {},
    now: () => now,
  })
  const at = () => condition.recovery(1, 1_000)
  t.equal(at(), null)
  condition.recovering([0, 1])
  t.same(at(), { position: null, end: null, stalled: false })
  now = 1_001
  t.same(at(), { position: null, end: null, stalled: true })
  condition.progressed({ partition: 1, next: 40, end: 100 })
  t.same(at(), { position: 40, end: 100, stalled: false })
  now = 2_001
  t.match(at(), { stalled: false })
  now = 2_002
  t.match(at(), { stalled: true })
  condition.opened(1, 'running')
  condition.progressed({ partition: 1, next: 41, end: 100 })
  t.equal(at(), null, 'what comes late says nothing')
  condition.recovering([1])
  condition.lostAll()
  t.equal(at(), null)
  t.end()
})
