// What waits for a function's progress: told of each change, forgotten when it is taken back.
import t, { type Test } from 'tap'
import { Progress } from '#host/processor/progress.js'

/** Resolves at the next change. */
const nextChange = (progress: Progress) =>
  new Promise<void>((resolve) => {
    const takeBack = progress.onChange(() => {
      takeBack()
      resolve()
    })
  })

/** Counts the waits that the engine keeps. */
function countWaits(t: Test): () => number {
  const { waitAsync } = Atomics
  let waits = 0
  Atomics.waitAsync = ((...args: Parameters<typeof waitAsync>) => {
    waits += 1
    return waitAsync(...args)
  }) as typeof waitAsync
  t.teardown(() => {
    Atomics.waitAsync = waitAsync
  })
  return () => waits
}

t.test('each publish and each notify is told', async (t) => {
  const progress = Progress.allocate(2, 1)
  // As from another thread.
  const writer = new Progress(progress.shared, 1)
  let told = nextChange(progress)
  writer.publish(1, [7], 3)
  await told
  t.equal(progress.position(1, 0), 7)
  t.equal(progress.records(1), 3)
  told = nextChange(progress)
  progress.notify()
  await told
})

t.test('a change between two waits is not missed', async (t) => {
  const progress = Progress.allocate(1, 1)
  const seen: number[] = []
  await new Promise<void>((resolve) => {
    progress.onChange(() => {
      seen.push(progress.position(0, 0))
      // While the callbacks are called: nobody waits at this moment.
      if (seen.length === 1) new Progress(progress.shared, 1).publish(0, [2], 2)
      else resolve()
    })
    progress.publish(0, [1], 1)
  })
  t.same(seen, [1, 2])
})

t.test('however many wait in vain, one wait is left, and none of them', async (t) => {
  const waits = countWaits(t)
  const progress = Progress.allocate(1, 1)
  let called = 0
  for (let each = 0; each < 1_000; each += 1) {
    progress.onChange(() => {
      called += 1
    })()
  }
  t.equal(waits(), 1)
  const told = nextChange(progress)
  progress.notify()
  await told
  t.equal(called, 0, 'what was taken back is not called')
})

t.test('one that is taken back by another while both are told is not called', async (t) => {
  const progress = Progress.allocate(1, 1)
  const called: string[] = []
  let takeBack = () => {}
  const told = new Promise<void>((resolve) => {
    progress.onChange(() => {
      called.push('first')
      takeBack()
      resolve()
    })
  })
  takeBack = progress.onChange(() => called.push('second'))
  progress.notify()
  await told
  t.same(called, ['first'])
})
