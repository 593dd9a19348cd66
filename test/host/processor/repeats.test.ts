// What fails again and again does not fill the log.
import t from 'tap'
import { Repeats } from '#host/processor/repeats.js'

function repeats() {
  const told: string[] = []
  const time = { ms: 0 }
  const of = new Repeats({
    clock: { now: () => time.ms },
    over: { commit: 'the log takes flushes again' },
    warned: (message) => told.push(message),
  })
  /** A try each second. */
  const fail = (times: number, partition = 0, kind = 'commit') => {
    for (let nth = 0; nth < times; nth += 1) {
      of.failed(kind, partition, `${kind} refused`, {})
      time.ms += 1_000
    }
  }
  return { of, told, fail, time }
}

t.test('is told first, then each half minute with how often, and when it is over', async (t) => {
  const { of, told, fail } = repeats()
  fail(65)
  t.same(told, [
    'commit refused',
    'commit refused (and 30 times since it was told last)',
    'commit refused (and 30 times since it was told last)',
  ])
  of.passed(0)
  t.equal(told.at(-1), 'the log takes flushes again, after 65 refusals in 65 s')
  of.passed(0)
  t.equal(told.length, 4)
  fail(1)
  t.equal(told.at(-1), 'commit refused', 'another time is told anew')
})

t.test('is over when it is in each partition', async (t) => {
  const { of, told, fail } = repeats()
  fail(1, 0)
  fail(1, 1)
  of.passed(0)
  t.equal(told.length, 1)
  of.passed(1)
  t.match(told, ['commit refused', /after 2 refusals/])
})

t.test('one that is given up is not said to be over', async (t) => {
  const { of, told, fail } = repeats()
  fail(1)
  of.gaveUp(0)
  of.passed(0)
  t.same(told, ['commit refused'])
  fail(1)
  t.same(told, ['commit refused', 'commit refused'])
})

t.test('each kind is told by itself', async (t) => {
  const { of, told, fail } = repeats()
  fail(2, 0, 'commit')
  fail(2, 0, 'opening')
  of.passed(0)
  t.match(told, ['commit refused', 'opening refused', /takes flushes again/])
  t.equal(told.length, 3)
})
t.end()
