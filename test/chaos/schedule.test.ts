// The schedule of `npm run chaos`: a seed makes the same one again.
import t from 'tap'
import { allKinds, schedule } from '#chaos/schedule.js'

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
    without: new Set(['fill disk', 'freeze']),
  })
  t.ok(without.length < all.length)
  t.same(
    without,
    all.filter(({ kind }) => kind !== 'fill disk' && kind !== 'freeze'),
  )
})
