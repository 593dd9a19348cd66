// Which function is held for the deaths of the host, by who was seen or running at each.
import t from 'tap'
import { Blame } from '#host/supervisor/blame.js'
import type { FunctionVitals } from '#host/supervisor/messages.js'

const f = (name: string, version = '1'): FunctionVitals => ({
  name,
  version,
  isBusy: true,
  isLoading: false,
})
const blame = () => new Blame({ maxCrashes: 3, crashWindowMs: 1_000 })
const names = (functions: readonly { readonly name: string }[]) => functions.map(({ name }) => name)

t.test(
  'who was seen to do it as often as may be is held, others that do it meanwhile later',
  (t) => {
    const b = blame()
    for (const name of ['a', 'b', 'a', 'b']) t.same(b.died([f(name)], 0), [])
    t.same(names(b.died([f('a')], 0)), ['a'])
    t.match(b.quarantined, [{ name: 'a', version: '1', deaths: 3, isAtLoad: false }])
    b.died([f('b')], 0)
    t.same(names(b.quarantined), ['a', 'b'])
    t.end()
  },
)

t.test('of those that ran, who ran every time; with several of these nobody is held', (t) => {
  const b = blame()
  b.died([f('a'), f('b')], 0)
  b.died([f('a'), f('b'), f('c')], 0)
  t.same(names(b.died([f('a'), f('b')], 0)), ['a', 'b'])
  t.same(b.quarantined, [])
  t.same(names(b.died([f('b')], 0)), ['b'], 'until one death tells them apart')
  t.same(names(b.quarantined), ['b'])
  t.end()
})

t.test('what is long ago, of another version, or forgiven does not count', (t) => {
  const old = blame()
  for (const at of [0, 500, 1_400, 2_300]) t.same(old.died([f('a')], at), [])
  t.same(names(old.died([f('a')], 2_350)), ['a'])

  const mended = blame()
  for (const version of ['1', '1', '2', '2']) t.same(mended.died([f('a', version)], 0), [])

  const forgiven = blame()
  for (let n = 0; n < 3; n += 1) forgiven.died([f('a')], 0)
  forgiven.release('a')
  t.same(forgiven.quarantined, [])
  t.same(forgiven.died([f('a')], 0), [])
  t.end()
})

t.test('who was only at work, and got on from one death to the next, is not at fault', (t) => {
  const b = blame()
  for (const position of [1, 2, 3, 3]) t.same(b.died([{ ...f('a'), position }], 0), [])
  t.same(names(b.died([{ ...f('a'), position: 3 }], 0)), ['a'], 'until it is stuck')
  t.end()
})

t.test('a death that nothing is known of accuses nobody', (t) => {
  const b = blame()
  for (let n = 0; n < 5; n += 1) t.same(b.died([], 0), [])
  t.same(b.quarantined, [])
  t.end()
})
