// A reader by connections that are others', too.
import t from 'tap'
import { AssignedReader } from '#host/log/assigned-reader.js'
import type { Brokers } from '#host/log/kafka/brokers.js'
import { KafkaSource } from '#host/log/kafka/source.js'

t.test('its end does not wait for a broker that does not answer', async (t) => {
  let isAsked = () => {}
  const asked = new Promise<void>((resolve) => {
    isAsked = resolve
  })
  const silent = {
    topics: () => {
      isAsked()
      return new Promise(() => {})
    },
  }
  const options = { maxBytes: 1_000, isBrief: true }
  const source = new KafkaSource(silent as unknown as Brokers, () => {}, options)
  const reader = new AssignedReader(source, 1_000, () => {})
  reader.assign([{ topic: 'sums', partition: 0, offset: 0 }])
  const reading = reader.next()
  await asked
  await reader[Symbol.asyncDispose]()
  t.same(await reading, [])
})
