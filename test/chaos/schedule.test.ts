// The schedule of `npm run chaos`: a seed makes the same one again.
import t from 'tap'
import { allKinds, schedule, shown } from '#chaos/schedule.js'
import { times } from '#chaos/settings.js'

const minuteMs = 60_000

t.test('a seed makes the same schedule, another seed another one', async (t) => {
  const [first, second] = [1, 1].map((seed) => schedule({ seed, forMs: 3 * minuteMs }))
  t.same(first, second)
  t.notSame(first, schedule({ seed: 2, forMs: 3 * minuteMs }))
})

t.test('three minutes have each kind of fault, in the order of their times', async (t) => {
  for (let seed = 0; seed < 50; seed += 1) {
    const faults = schedule({ seed, forMs: 3 * minuteMs })
    t.same(new Set(faults.map(({ kind }) => kind)), new Set(allKinds), `seed ${seed}`)
    const times = faults.map(({ atMs }) => atMs)
    t.same(
      times,
      times.toSorted((a, b) => a - b),
    )
  }
})

t.test('a longer run begins as a shorter one', async (t) => {
  const short = schedule({ seed: 7, forMs: minuteMs })
  t.ok(short.length > 3)
  t.same(schedule({ seed: 7, forMs: 5 * minuteMs }).slice(0, short.length), short)
})

t.test('all of it is over before the run is', async (t) => {
  for (let seed = 0; seed < 50; seed += 1) {
    for (const { atMs, lastsMs, kind } of schedule({ seed, forMs: minuteMs })) {
      t.ok(atMs + lastsMs < minuteMs, `${kind} of seed ${seed}`)
    }
  }
})

t.test('what is left out changes nothing of the rest', async (t) => {
  const all = schedule({ seed: 3, forMs: 5 * minuteMs })
  const without = schedule({
    seed: 3,
    forMs: 5 * minuteMs,
    without: new Set(['fill disk', 'freeze', 'unplug']),
  })
  t.ok(without.length < all.length)
  t.same(
    without,
    all.filter(({ kind }) => !['fill disk', 'freeze', 'unplug'].includes(kind)),
  )
})

t.test('what comes beside the others is no part of their draw', async (t) => {
  const inTurn = schedule({ seed: 3, forMs: minuteMs, without: new Set(['unplug']) })
  t.same(inTurn.slice(0, 3).map(shown), [
    '    2.0 s  join d (with nothing, killed, for 5860 ms)',
    '   13.5 s  kill host c',
    '   15.3 s  fill disk c (for 3106 ms)',
  ])
  const unplugged = schedule({ seed: 3, forMs: 5 * minuteMs }).filter(
    ({ kind }) => kind === 'unplug',
  )
  t.ok(unplugged.length > 5)
  const session = times.sessionTimeoutMs
  t.ok(unplugged.some(({ lastsMs }) => lastsMs < session))
  t.ok(unplugged.some(({ lastsMs }) => lastsMs > session))
  t.ok(new Set(unplugged.map(({ target }) => target)).size > 1)
})
