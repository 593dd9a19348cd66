// Functions as text: what is not known is not shown as a number.
import t from 'tap'
import { functionDetail, functionTable } from '#host/commands/function-text.js'
import type { FunctionStatus } from '#host/functions/catalog.js'

const status = (end: number | null): FunctionStatus => {
  const lag = end === null ? null : end - 7
  return {
    name: 'click-count',
    kind: 'processor',
    file: '/functions/click-count.ts',
    state: 'running',
    version: 'abc',
    waitingFor: [],
    partitions: [
      {
        partition: 0,
        state: 'running',
        inputs: [{ stream: 'clicks', position: 7, end, lag }],
        recovery: null,
      },
    ],
    lag,
    rates: { recordsPerSecond: 0 },
    records: 7,
    swaps: 0,
    error: null,
  }
}

t.test('how far a function is behind, or that it is not known', async (t) => {
  t.match(functionTable([status(1_234)], 100), /click-count +running +abc +1,227 +0$/)
  t.match(functionTable([status(null)], 100), /click-count +running +abc +- +0$/)
  t.match(functionDetail(status(1_234)), /lag +1,227\n.*clicks +7 +1,234 +1,227$/s)
  t.match(functionDetail(status(null)), /lag +not known\n.*clicks +7 +- +-$/s)
})

t.test('what a function waits for, and how far its table has come', async (t) => {
  const [partition] = status(8).partitions
  if (partition === undefined) throw new Error('it has none')
  const recovering = (recovery: typeof partition.recovery) =>
    functionDetail({ ...status(8), partitions: [{ ...partition, recovery }] })
  t.notMatch(recovering(null), /recovers/)
  const none = { position: null, end: null, stalled: false }
  t.match(recovering(none), /partition 0 recovers: nothing was read yet\n/)
  const some = { position: 1_200, end: 5_000, stalled: false }
  t.match(recovering(some), /partition 0 recovers: 1,200 of 5,000\n/)
  t.match(recovering({ ...some, stalled: true }), /recovers: 1,200 of 5,000, stalled\n/)
  const waiting = functionDetail({ ...status(8), waitingFor: ['the join names', 'the log'] })
  t.match(waiting, / {2}waits {4}for the join names\n {11}for the log\n/)
})
