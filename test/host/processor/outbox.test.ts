// What leaves ahead of a flush, against a log that answers when the test says so.
import t from 'tap'
import { HostError } from '#host/errors.js'
import type { RecordToAppend } from '#host/log/log.js'
import type { Clock } from '#host/processor/clock.js'
import { Outbox } from '#host/processor/outbox.js'
import { until } from '../../support/until.js'
import { fastClock } from './harness.js'

interface Call {
  readonly values: string[]
  written(): void
  fail(error: Error): void
}

const record = (value: string, bytes = 1): RecordToAppend => ({
  topic: 'out',
  partition: 0,
  key: Buffer.alloc(bytes),
  value: Buffer.from(value),
  timestamp: 0,
})

function outbox(clock: Clock = fastClock) {
  const calls: Call[] = []
  const retried: string[] = []
  const refused: unknown[] = []
  let woken = 0
  const box = new Outbox({
    clock,
    append: (records) =>
      new Promise<void>((resolve, reject) => {
        calls.push({
          values: records.map(({ value }) => String(value)),
          written: resolve,
          fail: reject,
        })
      }),
    onRetry: (cause) => retried.push((cause as Error).message),
    onRefused: (cause) => refused.push(cause),
    wake: () => {
      woken += 1
    },
  })
  const call = (number: number): Promise<Call> =>
    until(`call ${number}`, () => calls[number - 1] ?? undefined)
  return { box, calls, retried, refused, call, woken: () => woken }
}

t.test('one call at a time, with all that has come meanwhile', async (t) => {
  const { box, calls, call, woken } = outbox()
  box.add([record('a'), record('b')])
  box.add([record('c')])
  const first = box.sent()
  box.add([record('d')])
  t.same((await call(1)).values, ['a', 'b'], 'the first at once')
  t.equal(calls.length, 1, 'no other beside it')
  const full = box.bytes
  calls[0]?.written()
  t.same((await call(2)).values, ['c', 'd'])
  t.ok(box.bytes < full && box.bytes > 0, 'what is in the log takes no room')
  t.equal(woken(), 1)
  calls[1]?.written()
  t.equal(await first, true)
  t.equal(await box.sent(), true)
  t.equal(box.bytes, 0)
})

t.test('sent() waits for what was added before it, not for what came later', async (t) => {
  const { box, call } = outbox()
  box.add([record('a')])
  const sent = box.sent()
  box.add([record('b')])
  ;(await call(1)).written()
  t.equal(await sent, true)
  t.ok(box.bytes > 0)
  ;(await call(2)).written()
})

t.test('what has failed goes again as it was, and nothing overtakes it', async (t) => {
  const { box, call, retried } = outbox()
  box.add([record('a'), record('b')])
  box.add([record('c')])
  ;(await call(1)).fail(new HostError('BROKER_UNAVAILABLE', 'away'))
  const again = await call(2)
  t.same(again.values, ['a', 'b'])
  again.fail(new Error('no error that is known'))
  const third = await call(3)
  t.same(third.values, ['a', 'b'])
  third.written()
  const behind = await call(4)
  t.same(behind.values, ['c'])
  behind.written()
  t.equal(await box.sent(), true)
  t.same(retried, ['away', 'no error that is known'])
})

t.test('what the log never takes ends it', async (t) => {
  const { box, calls, call, refused } = outbox()
  box.add([record('a')])
  box.add([record('b')])
  const sent = box.sent()
  const error = new HostError('UNKNOWN_TOPIC', 'gone')
  ;(await call(1)).fail(error)
  await until('it is refused', () => refused.length > 0)
  t.same(refused, [error])
  await box.close()
  t.equal(await sent, false)
  t.equal(calls.length, 1, 'what lay behind it has not left')
})

t.test('closed in a pause it tries no more; closed in a call it waits for that', async (t) => {
  const paused = outbox({ ...fastClock, after: () => () => {} })
  paused.box.add([record('a')])
  const sent = paused.box.sent()
  ;(await paused.call(1)).fail(new Error('away'))
  await until('it rests', () => paused.retried.length > 0)
  await paused.box.close()
  t.equal(await sent, false)
  t.equal(paused.calls.length, 1)
  paused.box.add([record('b')])
  t.equal(paused.calls.length, 1, 'and takes nothing more')

  const busy = outbox()
  busy.box.add([record('a')])
  busy.box.add([record('b')])
  let isClosed = false
  const closed = busy.box.close().then(() => {
    isClosed = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  t.notOk(isClosed)
  ;(await busy.call(1)).written()
  await closed
  t.equal(busy.calls.length, 1)
})

t.test('a call takes a limited number of bytes, and one record at least', async (t) => {
  const { box, call } = outbox()
  box.add([record('first')])
  const half = 600 * 1024
  box.add([record('a', half), record('b', half), record('c', 3 * half), record('d')])
  ;(await call(1)).written()
  for (const [number, values] of [
    [2, ['a']],
    [3, ['b']],
    [4, ['c']],
    [5, ['d']],
  ] as const) {
    const next = await call(number)
    t.same(next.values, values)
    next.written()
  }
})
