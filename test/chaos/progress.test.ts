// How long partitions stood still, and because of what.
import t from 'tap'
import { Progress, quantiles, standstills } from '#chaos/progress.js'

t.test('a gap is between two outputs of one partition', async (t) => {
  const progress = new Progress()
  progress.saw(0, 10)
  progress.saw(1, 50)
  progress.saw(0, 400)
  progress.saw(0, 410)
  t.same(progress.gaps, [
    { partition: 0, fromMs: 10, toMs: 400 },
    { partition: 0, fromMs: 400, toMs: 410 },
  ])
})

t.test('the longest gap is put down to the fault that began last before it', async (t) => {
  const done = [
    { kind: 'swap', beganMs: 30_000 },
    { kind: 'kill host', beganMs: 1_000 },
    { kind: 'kill host', beganMs: 20_000 },
    { kind: 'freeze', beganMs: 10_000 },
  ] as const
  const gaps = [
    { partition: 0, fromMs: 0, toMs: 900 },
    // What was on its way came out a moment after the kill, and before it.
    { partition: 0, fromMs: 950, toMs: 3_000 },
    { partition: 1, fromMs: 1_100, toMs: 5_100 },
    // It lasts beyond the fault after it.
    { partition: 2, fromMs: 10_000, toMs: 24_000 },
    { partition: 1, fromMs: 20_500, toMs: 22_000 },
  ]
  t.same(standstills(done, gaps), [
    { kind: 'kill host', longestMs: [4_000, 1_500] },
    { kind: 'freeze', longestMs: [14_000] },
    { kind: 'swap', longestMs: [0] },
  ])
})

t.test('quantiles of few', async (t) => {
  t.same(quantiles([3, 1, 2]), [2, 3, 3])
})
