import { type Consumer, PartitionAssigners } from 'kafkajs'
import t, { type Test } from 'tap'
import { decodeBatches } from '#host/log/kafka/decoding.js'
import { kafkaErrors } from '#host/log/kafka/error-codes.js'
import { fetchRecords } from '#host/log/kafka/requests/fetch.js'
import { findCoordinator } from '#host/log/kafka/requests/find-coordinator.js'
import {
  type InitializedProducer,
  initProducerId,
  type Producer,
} from '#host/log/kafka/requests/init-producer-id.js'
import { listOffsets, offsetAt } from '#host/log/kafka/requests/list-offsets.js'
import { metadata } from '#host/log/kafka/requests/metadata.js'
import { offsetFetch } from '#host/log/kafka/requests/offset-fetch.js'
import { produce } from '#host/log/kafka/requests/produce.js'
import {
  addOffsetsToTxn,
  addPartitionsToTxn,
  endTxn,
  type GroupMember,
  type TransactionalProducer,
  txnOffsetCommit,
} from '#host/log/kafka/requests/transaction.js'
import { batchOf } from '../test/support/kafka/batch.js'
import { linkTo, makeTopics, quietKafka } from '../test/support/kafka/client.js'
import { brokerAddress, ownName } from '../test/support/kafka/shared.js'
import { runTool } from '../test/support/kafka/tool.js'
import { until } from '../test/support/until.js'

const address = await brokerAddress(t)
const { link } = await linkTo(t, address)
const none = kafkaErrors.NONE

/** Begins, as often as it takes: the coordinator may be loading, or ending the transaction of the producer before. */
const begin = (transactionalId: string, current?: Producer): Promise<InitializedProducer> =>
  until('the producer has begun', async () => {
    const options = { transactionalId, transactionTimeoutMs: 60_000 }
    const asked = current === undefined ? options : { ...options, current }
    const answer = await link.ask(initProducerId(asked))
    return !isPassing(answer.error) && answer
  })

const isPassing = (error: number): boolean =>
  error === kafkaErrors.CONCURRENT_TRANSACTIONS ||
  error === kafkaErrors.COORDINATOR_LOAD_IN_PROGRESS ||
  error === kafkaErrors.COORDINATOR_NOT_AVAILABLE ||
  error === kafkaErrors.NOT_COORDINATOR

/** Both coordinators are there: the first question has their topics made. */
async function coordinated(group: string, transactionalId: string): Promise<void> {
  for (const [type, key] of [
    ['group', group],
    ['transaction', transactionalId],
  ] as const) {
    await until('there is a coordinator', async () => {
      const found = await link.ask(findCoordinator(type, key))
      return found.error === none && found.broker === 1
    })
  }
  // It is found before it has loaded what it is asked for.
  await until('the coordinator of the group answers', async () => {
    const { error } = await link.ask(offsetFetch(group, null))
    return error === none
  })
}

interface Trial {
  readonly topic: string
  readonly group: string
  readonly transactionalId: string
  readonly producer: TransactionalProducer
  /** Adds the partition, and produces these. */
  write(producer: TransactionalProducer, sequence: number, values: string[]): Promise<number>
  /** Moves the group's position of the topic's partition 0. */
  move(producer: TransactionalProducer, offset: number, member?: GroupMember): Promise<number>
  position(): Promise<{ offset: number; error: number }>
}

async function trial(t: Test): Promise<Trial> {
  const topic = ownName('clicks')
  const group = ownName('counts')
  const transactionalId = ownName('counts-0')
  await makeTopics(t, address, { [topic]: 1 })
  await coordinated(group, transactionalId)
  const producer = { transactionalId, ...(await begin(transactionalId)) }
  const outsider = { group, generation: -1, member: '' }
  return {
    topic,
    group,
    transactionalId,
    producer,
    async write(producer, sequence, values) {
      const added = await until('the partition is added', async () => {
        const answer = await link.ask(addPartitionsToTxn(producer, [{ topic, partition: 0 }]))
        const [outcome] = answer.partitions
        return outcome?.error !== kafkaErrors.CONCURRENT_TRANSACTIONS && outcome
      })
      if (added.error !== none) return added.error
      const batch = batchOf({ ...producer, values, sequence, isTransactional: true })
      const options = { transactionalId, timeoutMs: 5_000 }
      const { partitions } = await link.ask(produce(options, [{ topic, partition: 0, batch }]))
      return partitions[0]?.error ?? -1
    },
    async move(producer, offset, member = outsider) {
      const { error } = await until('the group is added', async () => {
        const answer = await link.ask(addOffsetsToTxn(producer, group))
        return answer.error !== kafkaErrors.CONCURRENT_TRANSACTIONS && answer
      })
      if (error !== none) return error
      const outcome = await until('the coordinator of the group takes positions', async () => {
        const position = { topic, partition: 0, offset }
        const { partitions } = await link.ask(txnOffsetCommit(producer, member, [position]))
        return !isPassing(partitions[0]?.error ?? none) && partitions[0]
      })
      return outcome.error
    },
    async position() {
      const { error, positions } = await link.ask(offsetFetch(group, [{ topic, partition: 0 }]))
      t.equal(error, none)
      return { offset: positions[0]?.offset ?? NaN, error: positions[0]?.error ?? NaN }
    },
  }
}

t.test('records and positions of a transaction appear when it commits, together', async (t) => {
  const { topic, group, producer, write, move, position } = await trial(t)
  const stableEnd = async () => {
    const asked = listOffsets([{ topic, partition: 0, time: offsetAt.latest }])
    return (await link.ask(asked)).partitions[0]?.offset
  }
  t.strictSame(await position(), { offset: -1, error: none })
  t.equal(await write(producer, 0, ['a', 'b']), none)
  t.equal(await move(producer, 42), none)
  t.equal(await stableEnd(), 0)
  t.strictSame(await position(), { offset: -1, error: kafkaErrors.UNSTABLE_OFFSET_COMMIT })

  t.equal((await link.ask(endTxn(producer, true))).error, none)
  const moved = await until('it is decided', async () => {
    const now = await position()
    return now.error === none && now
  })
  t.equal(moved.offset, 42)
  const end = await until('the marker is written', async () => (await stableEnd()) || undefined)
  t.equal(end, 3, 'the marker takes an offset')
  const all = await link.ask(offsetFetch(group, null))
  t.match(all.positions, [{ topic, partition: 0, offset: 42, leaderEpoch: -1 }])
  const read = ['--topic', topic, '--from-beginning', '--isolation-level', 'read_committed']
  const consumed = runTool(address, 'kafka-console-consumer', [...read, '--max-messages', '2'])
  t.equal(await consumed, 'a\nb\n')
})

t.test(
  'of an aborted transaction no position is moved, and a Fetch tells whose records to leave out',
  async (t) => {
    const { topic, producer, write, move, position } = await trial(t)
    t.equal(await write(producer, 0, ['a', 'b']), none)
    t.equal(await move(producer, 42), none)
    t.equal((await link.ask(endTxn(producer, false))).error, none)
    await until('it is decided', async () => (await position()).error === none)
    t.strictSame(await position(), { offset: -1, error: none })
    t.equal(await write(producer, 2, ['c']), none)
    t.equal((await link.ask(endTxn(producer, true))).error, none)

    const [info] = (await link.ask(metadata([topic]))).topics
    const fetched = await until('both are decided', async () => {
      const at = { offset: 0, lastEpoch: -1, currentEpoch: -1, maxBytes: 1_000_000 }
      const topicIds = new Map([[topic, info?.id ?? '']])
      const options = { maxWaitMs: 100, minBytes: 1, maxBytes: 1_000_000, topicIds }
      const answer = await link.ask(fetchRecords(options, [{ topic, partition: 0, ...at }]))
      return answer.partitions[0]?.stableEnd === 5 && answer.partitions[0]
    })
    t.strictSame(fetched.aborted, [{ producerId: producer.producerId, firstOffset: 0 }])
    const of = { topic, partition: 0 }
    const { records, next } = decodeBatches(of, fetched.batches, 0, fetched.aborted)
    t.match(records, { length: 1 })
    t.strictSame([records[0]?.offset, records[0]?.valueText(), next], [3, 'c', 5])
    t.equal(decodeBatches(of, fetched.batches, 0).records.length, 3, 'they are there, too')
  },
)

t.test('who begins anew fences the producer before, and ends its transaction', async (t) => {
  const { transactionalId, producer, write, move, position } = await trial(t)
  t.equal(await write(producer, 0, ['a']), none)
  t.equal(await move(producer, 42), none)
  const successor = { transactionalId, ...(await begin(transactionalId)) }
  t.equal(successor.producerId, producer.producerId)
  t.ok(successor.producerEpoch > producer.producerEpoch)

  const fenced = kafkaErrors.INVALID_PRODUCER_EPOCH
  t.equal(await write(producer, 1, ['b']), fenced)
  t.equal((await link.ask(addOffsetsToTxn(producer, 'any'))).error, fenced)
  t.equal((await link.ask(endTxn(producer, true))).error, fenced)
  t.equal((await begin(transactionalId, producer)).error, fenced, 'also when it asks anew')
  t.strictSame(await position(), { offset: -1, error: none })

  const renewed = { transactionalId, ...(await begin(transactionalId, successor)) }
  t.equal(renewed.error, none, 'whoever is current may ask anew')
  t.equal(await write(renewed, 0, ['c']), none)
  t.equal(await move(renewed, 7), none)
  t.equal((await link.ask(endTxn(renewed, true))).error, none)
  await until('it is decided', async () => (await position()).offset === 7)
})

t.test('positions are taken from a member of the group’s generation only', async (t) => {
  const { topic, group, producer, move, position } = await trial(t)
  const consumer = quietKafka(address).consumer({
    groupId: group,
    partitionAssigners: [PartitionAssigners.roundRobin],
  })
  t.teardown(() => consumer.disconnect())
  const member = await joined(consumer, topic)

  const commit = (generation: number, as: string) =>
    move(producer, 5, { group, generation, member: as })
  t.equal(await commit(2, member), kafkaErrors.ILLEGAL_GENERATION)
  t.equal(await commit(1, 'somebody'), kafkaErrors.UNKNOWN_MEMBER_ID)
  t.equal(await commit(1, member), none)
  t.equal((await link.ask(endTxn(producer, true))).error, none)
  await until('it is decided', async () => (await position()).offset === 5)
})

t.test('an idempotent producer may repeat a batch, and leave none out', async (t) => {
  const topic = ownName('clicks')
  await makeTopics(t, address, { [topic]: 1 })
  const options = { transactionalId: null, transactionTimeoutMs: 60_000 }
  const producer = await link.ask(initProducerId(options))
  t.match(producer, { error: none, producerEpoch: 0 })
  const send = async (sequence: number) => {
    const batch = batchOf({ ...producer, values: ['a', 'b'], sequence })
    const given = { transactionalId: null, timeoutMs: 5_000 }
    const { partitions } = await link.ask(produce(given, [{ topic, partition: 0, batch }]))
    return partitions[0]
  }
  t.match(await send(0), { error: none, offset: 0 })
  t.match(await send(2), { error: none, offset: 2 })
  t.match(await send(0), { error: none, offset: 0 }, 'as the first time')
  t.match(await send(6), { error: kafkaErrors.OUT_OF_ORDER_SEQUENCE_NUMBER, offset: -1 })
  t.match(await send(4), { error: none, offset: 4 })
})

// The link of all tests is open, so the process would not end by itself.
t.end()

/** The id of the consumer as a member of its group, which it is the first to join. */
async function joined(consumer: Consumer, topic: string): Promise<string> {
  const member = new Promise<string>((resolve) => {
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => resolve(payload.memberId))
  })
  await consumer.connect()
  await consumer.subscribe({ topic })
  await consumer.run({ eachMessage: async () => {} })
  return member
}
