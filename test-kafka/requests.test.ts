import t from 'tap'
import { decodeBatches } from '#host/log/kafka/decoding.js'
import { kafkaErrors } from '#host/log/kafka/error-codes.js'
import { fetchRecords, type PartitionToFetch } from '#host/log/kafka/requests/fetch.js'
import { listOffsets, offsetAt } from '#host/log/kafka/requests/list-offsets.js'
import { metadata } from '#host/log/kafka/requests/metadata.js'
import { offsetForLeaderEpoch } from '#host/log/kafka/requests/offset-for-leader-epoch.js'
import { type BatchToProduce, produce } from '#host/log/kafka/requests/produce.js'
import { batchOf } from '../test/support/kafka/batch.js'
import { linkTo, makeTopics, newTopic, quietKafka } from '../test/support/kafka/client.js'
import { brokerAddress, ownBroker, ownName } from '../test/support/kafka/shared.js'
import { runTool } from '../test/support/kafka/tool.js'
import { until } from '../test/support/until.js'

const address = await brokerAddress(t)
const { link } = await linkTo(t, address)

const send = (...batches: BatchToProduce[]) =>
  link.ask(produce({ transactionalId: null, timeoutMs: 5_000 }, batches))

t.test('Metadata tells ids, and partitions in order with their leaders', async (t) => {
  const { topic, id } = await newTopic(t, address, link, 5)
  const missing = ownName('missing')
  const found = await link.ask(metadata([topic, missing]))
  const [host = '', port] = address.split(':')
  t.strictSame(found.brokers, [{ id: 1, host, port: Number(port) }])
  const known = found.topics.find(({ name }) => name === topic)
  t.match(known, { error: kafkaErrors.NONE, isInternal: false, id: /^[\w-]{22}$/ })
  const partition = { error: 0, leader: 1, leaderEpoch: 0, replicas: [1], inSync: [1] }
  t.strictSame(
    known?.partitions,
    [0, 1, 2, 3, 4].map((number) => ({ ...partition, partition: number })),
  )
  t.match(
    await runTool(address, 'kafka-topics', ['--describe', '--topic', topic]),
    `TopicId: ${id}`,
  )
  const unknown = found.topics.find(({ name }) => name === missing)
  t.match(unknown, { error: kafkaErrors.UNKNOWN_TOPIC_OR_PARTITION, partitions: [] })
  const names = (await link.ask(metadata(null))).topics.map(({ name }) => name)
  t.ok(names.includes(topic) && !names.includes(missing), 'asking has created nothing')
})

t.test(
  'a topic that was made anew has another id, and by the former one nothing is fetched',
  async (t) => {
    const { topic, id } = await newTopic(t, address, link)
    const admin = quietKafka(address).admin()
    t.teardown(() => admin.disconnect())
    await admin.connect()
    await send({ topic, partition: 0, batch: batchOf({ values: ['old'] }) })
    await admin.deleteTopics({ topics: [topic] })
    await until('it is gone', async () => {
      const { topics } = await link.ask(metadata([topic]))
      return topics[0]?.error === kafkaErrors.UNKNOWN_TOPIC_OR_PARTITION
    })
    await makeTopics(t, address, { [topic]: 1 })
    await send({ topic, partition: 0, batch: batchOf({ values: ['new', 'newer'] }) })
    const [again] = (await link.ask(metadata([topic]))).topics
    t.not(again?.id, id)
    t.match(again?.partitions, [{ leaderEpoch: 0 }], 'which its leader epoch does not tell')
    const before = await link.ask(fetching(topic, id, { offset: 1 }))
    t.match(before.partitions, [{ topic, error: kafkaErrors.UNKNOWN_TOPIC_ID }])
    t.equal(before.partitions[0]?.batches.length, 0)
    const after = await link.ask(fetching(topic, again?.id ?? '', { offset: 1 }))
    t.match(after.partitions, [{ topic, error: kafkaErrors.NONE, highWatermark: 2 }])
  },
)

t.test('Produce and Fetch carry batches as they are', async (t) => {
  const { topic, id } = await newTopic(t, address, link, 2)
  const large = batchOf({ values: ['x'.repeat(300_000)] })
  const first = await send(
    { topic, partition: 0, batch: batchOf({ values: ['a', 'b', 'c'] }) },
    { topic, partition: 1, batch: large },
  )
  const sorted = [...first.partitions].sort((a, b) => a.partition - b.partition)
  const accepted = { error: 0, offset: 0, message: null }
  t.strictSame(sorted, [
    { topic, partition: 0, ...accepted },
    { topic, partition: 1, ...accepted },
  ])
  const second = await send({ topic, partition: 0, batch: batchOf({ values: ['d'] }) })
  t.match(second.partitions, [{ offset: 3, error: kafkaErrors.NONE }])

  const { error, partitions } = await link.ask(fetching(topic, id, {}, { partition: 1 }))
  t.equal(error, kafkaErrors.NONE)
  const read = partitions.find(({ partition }) => partition === 0)
  t.match(read, { highWatermark: 4, stableEnd: 4, oldest: 0, aborted: [], diverged: undefined })
  const decoded = decodeBatches({ topic, partition: 0 }, read?.batches ?? Buffer.alloc(0), 0)
  t.strictSame(
    decoded.records.map((record) => [record.offset, record.valueText()]),
    [...'abcd'].map((value, offset) => [offset, value]),
  )
  t.equal(decoded.next, 4)
  const other = partitions.find(({ partition }) => partition === 1)
  // The leader has put its epoch into the head, which no checksum covers.
  t.ok(other?.batches.subarray(16).equals(large.subarray(16)))
  const beyond = await link.ask(fetching(topic, id, { offset: 9 }))
  t.match(beyond.partitions, [{ error: kafkaErrors.OFFSET_OUT_OF_RANGE }])
})

t.test('a Fetch waits for records, as long as it is allowed to', async (t) => {
  const { topic, id } = await newTopic(t, address, link)
  let isAnswered = false
  const waiting = link.ask(fetching(topic, id, {}, undefined, 50_000)).finally(() => {
    isAnswered = true
  })
  const nothing = await link.ask(metadata([topic]))
  t.equal(nothing.topics.length, 1, 'other requests go by another connection')
  t.notOk(isAnswered)
  await send({ topic, partition: 0, batch: batchOf({ values: ['a'] }) })
  t.match((await waiting).partitions, [{ highWatermark: 1 }])
  const { partitions } = await link.ask(fetching(topic, id, { offset: 1 }, undefined, 10))
  t.match(partitions, [{ error: 0, highWatermark: 1 }])
  t.equal(partitions[0]?.batches.length, 0)
})

t.test('Produce is refused with a reason', async (t) => {
  const { topic } = await newTopic(t, address, link)
  const large = batchOf({ values: ['x'.repeat(1_100_000)] })
  t.match(await send({ topic, partition: 0, batch: large }), {
    partitions: [{ error: kafkaErrors.MESSAGE_TOO_LARGE, offset: -1 }],
  })
  const torn = batchOf({ values: ['a'] })
  torn.writeUInt8(0xff, torn.length - 2)
  t.match(await send({ topic, partition: 0, batch: torn }), {
    partitions: [{ error: kafkaErrors.CORRUPT_MESSAGE }],
  })
  t.match(await send({ topic, partition: 7, batch: batchOf({ values: ['a'] }) }), {
    partitions: [{ topic, partition: 7, error: kafkaErrors.UNKNOWN_TOPIC_OR_PARTITION }],
  })
})

t.test('ListOffsets finds the ends, and the first record of a time', async (t) => {
  const { topic } = await newTopic(t, address, link, 2)
  const time = Date.now()
  for (const timestamp of [time + 1_000, time + 2_000, time + 3_000]) {
    await send({ topic, partition: 0, batch: batchOf({ values: ['a', 'b'], timestamp }) })
  }
  const at = async (time: number) => {
    const { partitions } = await link.ask(listOffsets([{ topic, partition: 0, time }]))
    return [partitions[0]?.error, partitions[0]?.offset, partitions[0]?.timestamp]
  }
  t.strictSame(await at(offsetAt.earliest), [0, 0, -1])
  t.strictSame(await at(offsetAt.latest), [0, 6, -1])
  t.strictSame(await at(time + 2_000), [0, 2, time + 2_000])
  t.strictSame(await at(time + 2_001), [0, 4, time + 3_000])
  t.strictSame(await at(time + 3_001), [0, -1, -1])
  const { partitions } = await link.ask(
    listOffsets([
      { topic, partition: 1, time: offsetAt.latest },
      { topic, partition: 2, time: offsetAt.latest },
    ]),
  )
  // A broker answers in any order.
  const sorted = [...partitions].sort((a, b) => a.partition - b.partition)
  t.match(sorted, [
    { topic, partition: 1, error: 0, offset: 0 },
    { topic, partition: 2, error: kafkaErrors.UNKNOWN_TOPIC_OR_PARTITION },
  ])
})

t.test('an epoch ends where the next began, also for a Fetch that was ahead of it', async (t) => {
  const broker = await ownBroker(t)
  const topic = ownName('clicks')
  await makeTopics(t, broker.address, { [topic]: 1 })
  const sendOn = async (to: typeof link, values: string[]) =>
    to.ask(
      produce({ transactionalId: null, timeoutMs: 5_000 }, [
        { topic, partition: 0, batch: batchOf({ values }) },
      ]),
    )
  const before = await linkTo(t, broker.address)
  await sendOn(before.link, ['a', 'b', 'c'])
  await broker.restart()

  const after = await linkTo(t, broker.address)
  const [info] = await until('it has a leader again', async () => {
    const { topics } = await after.link.ask(metadata([topic]))
    return topics[0]?.partitions[0]?.leader === 1 && topics
  })
  const current = info?.partitions[0]?.leaderEpoch ?? -1
  t.ok(current > 0, 'the leader is of a new epoch')
  await until('it takes records', async () => {
    const { partitions } = await sendOn(after.link, ['d'])
    return partitions[0]?.error === kafkaErrors.NONE
  })
  const endOf = async (leaderEpoch: number) => {
    const asked = offsetForLeaderEpoch([{ topic, partition: 0, leaderEpoch }])
    return (await after.link.ask(asked)).partitions
  }
  const found = { topic, partition: 0, error: 0 }
  t.match(await endOf(0), [{ ...found, leaderEpoch: 0, end: 3 }])
  t.match(await endOf(current), [{ ...found, leaderEpoch: current, end: 4 }])
  t.match(await endOf(current + 5), [{ ...found, leaderEpoch: -1, end: -1 }])
  // It says that it has read offset 3 of epoch 0, which ended at 3.
  const cut = fetching(topic, info?.id ?? '', { offset: 4, lastEpoch: 0 })
  const { partitions } = await after.link.ask(cut)
  t.match(partitions, [{ error: 0, diverged: { leaderEpoch: 0, end: 3 } }])
  const fenced = fetching(topic, info?.id ?? '', { currentEpoch: current - 1 })
  t.match((await after.link.ask(fenced)).partitions, [{ error: kafkaErrors.FENCED_LEADER_EPOCH }])
})

// The link of all tests is open, so the process would not end by itself.
t.end()

/** A Fetch of partition 0, and of another one with the same settings. */
function fetching(
  topic: string,
  id: string,
  given: Partial<PartitionToFetch>,
  further?: Partial<PartitionToFetch>,
  maxWaitMs = 500,
) {
  const whole = {
    topic,
    partition: 0,
    offset: 0,
    lastEpoch: -1,
    currentEpoch: -1,
    maxBytes: 1_000_000,
  }
  const partitions = [given, ...(further === undefined ? [] : [further])]
  return fetchRecords(
    { maxWaitMs, minBytes: 1, maxBytes: 10_000_000, topicIds: new Map([[topic, id]]) },
    partitions.map((each) => ({ ...whole, ...each })),
  )
}
