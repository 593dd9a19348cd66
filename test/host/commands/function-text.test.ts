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
      { partition: 0, state: 'running', inputs: [{ stream: 'clicks', position: 7, end, lag }] },
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
