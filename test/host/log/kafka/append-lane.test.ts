// What is told of an emit when its time is over, and what is sent of it afterwards.
import t from 'tap'
import { AppendCall, bytesInBatch } from '#host/log/kafka/append-call.js'
import { type AppendBatch, AppendLane } from '#host/log/kafka/append-lane.js'
import type { Brokers } from '#host/log/kafka/brokers.js'
import { kafkaErrors } from '#host/log/kafka/error-codes.js'
import { kafkaWriteSettings } from '#host/log/kafka/write-settings.js'

const at = { topic: 'events', partition: 0 }
/** The broker refuses it before it appends anything. */
const certainly = kafkaErrors.NOT_ENOUGH_REPLICAS
/** So answers one, too, that has appended it and has lost its place since. */
const perhaps = kafkaErrors.NOT_LEADER_OR_FOLLOWER

function laneWith(...values: readonly string[]) {
  const lane = new AppendLane(at, kafkaWriteSettings({ compression: 'none' }), {} as Brokers)
  const push = (value: string, count = 1) => {
    const record = { ...at, key: Buffer.from('k'), value: Buffer.from(value), timestamp: 0 }
    const call = new AppendCall({ count, bytes: 10, expiresAt: 0, ended: () => {} })
    const told = call.offsets.then(
      () => 'written',
      (error: Error) => error.message,
    )
    const whole = { places: [0], from: 0, to: 1, isWhole: true }
    lane.push({ call, records: [record], bytes: bytesInBatch(record), ...whole })
    return { call, told }
  }
  lane.begin({ producerId: 1, producerEpoch: 0 })
  return { lane, push, calls: values.map(push) }
}

function taken(lane: AppendLane): AppendBatch {
  const batch = lane.take()
  if (batch === undefined) throw new Error('nothing is sent')
  return batch
}

const answer = (error: number, offset = -1) => ({ ...at, error, offset, message: null })
const textOf = (batch: AppendBatch) => batch.encoded.bytes.toString('latin1')

t.test('what is told not to be there does not come later with what came beside it', async (t) => {
  const { lane, calls } = laneWith('the-first', 'the-second')
  const [first, second] = calls
  lane.settle(taken(lane), answer(certainly))
  t.equal(lane.recover(), 'again')
  first?.call.expire()
  t.match(await first?.told, /nothing was written: send it again/)
  const again = taken(lane)
  t.match(textOf(again), /the-second/)
  t.notMatch(textOf(again), /the-first/)
  lane.settle(again, answer(kafkaErrors.NONE, 7))
  t.same(await second?.call.offsets, [7])
})

t.test('of what may be there nobody is told that it is not', async (t) => {
  const { lane, calls } = laneWith('the-first', 'the-second')
  const sent = taken(lane)
  lane.settle(sent, answer(perhaps))
  t.equal(lane.recover(), 'moved')
  calls[0]?.call.expire()
  t.match(await calls[0]?.told, /perhaps written/)
  const again = taken(lane)
  t.equal(textOf(again), textOf(sent), 'by its bytes the broker knows it again')
})

t.test('what was written behind one that has failed is not sent again', async (t) => {
  const { lane, push } = laneWith('the-first')
  lane.settle(taken(lane), answer(kafkaErrors.NONE, 0))
  push('the-second')
  const failed = taken(lane)
  // It waits for another partition, too.
  const third = push('the-third', 2)
  push('x'.repeat(70_000))
  const written = taken(lane)
  lane.settle(failed, answer(kafkaErrors.REQUEST_TIMED_OUT))
  lane.settle(written, answer(kafkaErrors.NONE, 2))
  t.equal(lane.recover(), 'again')
  t.equal(textOf(taken(lane)), textOf(failed))
  t.notOk(lane.hasWork, 'it comes once')
  lane.settle(failed, answer(kafkaErrors.NONE, 1))
  t.notOk(third.call.isDone, 'the rest of it is still to be written')
})

t.test('nor of what is sent again because of what was sent before it', async (t) => {
  const { lane, push } = laneWith('the-first')
  lane.settle(taken(lane), answer(kafkaErrors.NONE, 0))
  push('the-second')
  const before = taken(lane)
  const third = push('the-third')
  // Else it is gathered until the one before is there.
  push('x'.repeat(70_000))
  const batch = taken(lane)
  lane.settle(before, undefined)
  lane.settle(batch, answer(certainly))
  t.equal(lane.recover(), 'moved')
  third.call.expire()
  t.match(await third.told, /perhaps written/)
  t.equal(textOf(taken(lane)), textOf(before))
  t.equal(textOf(taken(lane)), textOf(batch))
})
