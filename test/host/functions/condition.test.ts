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

t.test(
  'copies of what others write: shown apart, warm at their end, whole until they are wiped',
  (t) => {
    const condition = new Condition({ isPaused: false, quarantined: undefined, changed: () => {} })
    condition.enter('active')
    condition.recovering([0])
    condition.opened(0, 'running')
    condition.copied(1, 'recovering')
    condition.copied(2, 'recovering')
    condition.progressed({ partition: 1, next: 4, end: 9 })
    t.match(condition.recovery(1, 1_000), { position: 4, end: 9 })
    t.equal(condition.state, 'running', 'it does not wait for them')
    t.same([condition.partition(1), condition.isServing(1)], [undefined, false])
    condition.copied(1, 'following')
    t.same(condition.warm, [0, 1])
    t.same([condition.isWhole(1), condition.isWhole(2)], [true, false])

    condition.assigned({ partitions: [1], kept: [], standbys: [0] })
    t.equal(condition.standby(1), undefined, 'it is its own from now on')
    t.same(condition.warm, [])
    condition.copied(1, 'following')
    t.equal(condition.partition(1), 'recovering', 'what comes late says nothing')
    t.ok(condition.isWhole(1), 'while it is opened, what is stored is there')
    condition.wiped(1)
    t.notOk(condition.isWhole(1))
    condition.copied(0, 'following')
    condition.lostAll()
    t.same([condition.standby(0), condition.warm], [undefined, []])
    t.ok(condition.isWhole(0), 'it is stored, whoever has it')
    condition.storeLost()
    t.notOk(condition.isWhole(0))
    condition.enter('ahead')
    t.equal(condition.state, 'recovering')
    t.end()
  },
)

t.test('with a thread that is still to start nothing is open, whatever was before', (t) => {
  const condition = new Condition({ isPaused: false, quarantined: undefined, changed: () => {} })
  condition.enter('active')
  condition.opened(0, 'running')
  condition.enter('joining')
  condition.started()
  t.equal(condition.isServing(0), false)
  condition.assigned({ partitions: [0], kept: [0], standbys: [] })
  condition.enter('active')
  t.equal(condition.state, 'recovering')
  t.end()
})
