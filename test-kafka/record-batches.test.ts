// The codec of record batches against a broker and Kafka's own console tools, both ways.
import t from 'tap'
import { ATTRIBUTES, COMPRESSION_MASK, LENGTH, PREFIX_BYTES } from '#host/log/kafka/batch.js'
import { compressions } from '#host/log/kafka/compression.js'
import { decodeBatches } from '#host/log/kafka/decoding.js'
import { encodeBatches, sequenceAfter } from '#host/log/kafka/encoding.js'
import { fetchRecords } from '#host/log/kafka/requests/fetch.js'
import { findCoordinator } from '#host/log/kafka/requests/find-coordinator.js'
import { initProducerId } from '#host/log/kafka/requests/init-producer-id.js'
import { produce } from '#host/log/kafka/requests/produce.js'
import { addPartitionsToTxn, endTxn } from '#host/log/kafka/requests/transaction.js'
import type { RecordToAppend } from '#host/log/log.js'
import { linkTo, newTopic } from '../test/support/kafka/client.js'
import { brokerAddress, ownName } from '../test/support/kafka/shared.js'
import { runTool } from '../test/support/kafka/tool.js'
import { until } from '../test/support/until.js'

const address = await brokerAddress(t)
const { link } = await linkTo(t, address)
const partition = 0

async function send(
  topic: string,
  batch: Buffer,
  transactionalId: string | null = null,
): Promise<number> {
  const options = { transactionalId, timeoutMs: 10_000 }
  const { partitions } = await link.ask(produce(options, [{ topic, partition, batch }]))
  const [answer] = partitions
  if (answer?.error !== 0) throw new Error(`refused: ${answer?.error} ${answer?.message}`)
  return answer.offset
}

/** All that it holds, as the broker sends it. */
async function fetch({ topic, id }: { topic: string; id: string }) {
  const maxBytes = 10_000_000
  const options = { maxWaitMs: 5_000, minBytes: 1, maxBytes, topicIds: new Map([[topic, id]]) }
  const from = { topic, partition, offset: 0, lastEpoch: -1, currentEpoch: -1, maxBytes }
  const { partitions } = await link.ask(fetchRecords(options, [from]))
  const [fetched] = partitions
  if (fetched?.error !== 0) throw new Error(`refused: ${fetched?.error}`)
  return fetched
}

/** A coordinator that has just started has no ids to give. */
const begin = (transactionalId: string | null) =>
  until('there is a producer id', async () => {
    const asked = initProducerId({ transactionalId, transactionTimeoutMs: 60_000 })
    const answer = await link.ask(asked)
    return answer.error === 0 && answer
  })

void t.test('what is encoded is read by Kafka’s console consumer', async (t) => {
  const { topic } = await newTopic(t, address, link)
  // Not long ago: the broker would let them expire.
  const time = Date.now()
  const record = (key: string | null, value: string | null): RecordToAppend => ({
    topic,
    partition,
    timestamp: time,
    key: key === null ? null : Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
  })
  const lines: string[] = []
  const records: RecordToAppend[] = []
  for (let i = 0; i < 300; i++) {
    const value = `{"n":${i},"page":"/größe/😀/${'x'.repeat(i)}"}`
    const headers = [
      ['trace', Buffer.from(`t${i}`)],
      ['größe', Buffer.alloc(0)],
    ] as const
    records.push({ ...record(`user-${i % 7}`, value), timestamp: time - i, headers })
    lines.push(`CreateTime:${time - i}\ttrace:t${i},größe:\tuser-${i % 7}\t${value}`)
  }
  records.push(record(null, 'no key'), record('gone', null))
  lines.push(`CreateTime:${time}\tNO_HEADERS\tnull\tno key`)
  lines.push(`CreateTime:${time}\tNO_HEADERS\tgone\tnull`)

  const { producerId, producerEpoch } = await begin(null)
  let sequence = 0
  const written = ['none', 'gzip', 'lz4'] as const
  for (const compression of written) {
    const sequencing = { producerId, producerEpoch, baseSequence: sequence, isTransactional: false }
    const batches = encodeBatches(records, { compression, maxBatchBytes: 20_000, sequencing })
    t.ok(batches.length > 1)
    for (const { bytes, count } of batches) {
      const offset = await send(topic, bytes)
      t.equal(offset, sequence)
      t.equal(await send(topic, bytes), offset, 'sent again it is the same')
      sequence = sequenceAfter(sequence, count)
    }
  }
  const printed = ['print.key', 'print.headers', 'print.timestamp', 'print.value']
  const read = await runTool(address, 'kafka-console-consumer', [
    ...['--topic', topic, '--from-beginning', '--max-messages', String(sequence)],
    ...printed.flatMap((name) => ['--property', `${name}=true`]),
  ])
  t.strictSame(read.trimEnd().split('\n'), [...lines, ...lines, ...lines])
})

void t.test('what Kafka’s console producer writes is decoded', async (t) => {
  const place = await newTopic(t, address, link)
  const rows = compressions.map((compression) =>
    Array.from({ length: 200 }, (_, i) => `user-${i % 7}\t${compression} größe 😀 ${i * 7919}`),
  )
  for (const [i, compression] of compressions.entries()) {
    await runTool(
      address,
      'kafka-console-producer',
      [
        ...['--topic', place.topic, '--compression-codec', compression],
        ...['--property', 'parse.key=true'],
      ],
      { input: `${rows[i]?.join('\n')}\n` },
    )
  }
  const { batches, aborted, stableEnd } = await fetch(place)
  const { records, next } = decodeBatches({ topic: place.topic, partition }, batches, 0, aborted)
  t.equal(next, stableEnd)
  t.strictSame(
    records.map((record) => `${record.keyText()}\t${record.valueText()}`),
    rows.flat(),
  )
  t.ok(records.every(({ offset }, i) => offset === i))
  t.ok(records.every(({ timestamp }) => Math.abs(timestamp - Date.now()) < 600_000))
  const used = new Set<string | undefined>()
  for (let at = 0; at < batches.length; at += PREFIX_BYTES + batches.readInt32BE(at + LENGTH)) {
    used.add(compressions[batches.readInt16BE(at + ATTRIBUTES) & COMPRESSION_MASK])
  }
  t.strictSame(used, new Set(compressions))
})

void t.test('what was aborted is left out, and markers are passed', async (t) => {
  const place = await newTopic(t, address, link)
  const { topic } = place
  const writers = await Promise.all(
    ['first', 'second'].map(async (name) => {
      const transactionalId = ownName(name)
      await until('there is a coordinator', async () => {
        const found = await link.ask(findCoordinator('transaction', transactionalId))
        return found.error === 0
      })
      return { transactionalId, ...(await begin(transactionalId)), sequence: 0 }
    }),
  )
  const write = async (writer: (typeof writers)[number], ...values: string[]): Promise<void> => {
    await until('the transaction has the partition', async () => {
      const added = await link.ask(addPartitionsToTxn(writer, [{ topic, partition }]))
      return added.partitions[0]?.error === 0
    })
    const records = values.map((value) => {
      return { topic, partition, timestamp: Date.now(), key: null, value: Buffer.from(value) }
    })
    const sequencing = { ...writer, baseSequence: writer.sequence, isTransactional: true }
    writer.sequence += values.length
    const options = { maxBatchBytes: 10_000, sequencing, compression: 'lz4' } as const
    for (const { bytes } of encodeBatches(records, options)) {
      await send(topic, bytes, writer.transactionalId)
    }
  }
  const end = async (writer: (typeof writers)[number], isCommit: boolean): Promise<void> => {
    t.equal((await link.ask(endTxn(writer, isCommit))).error, 0)
  }
  const [first, second] = writers
  if (first === undefined || second === undefined) throw new Error('there are two')
  await write(first, 'aborted 0', 'aborted 1')
  await write(second, 'committed 2')
  await write(first, 'aborted 3')
  await end(first, false)
  await write(first, 'committed 5')
  await write(second, 'committed 6')
  await end(second, true)
  await end(first, true)
  await write(second, 'aborted 9')
  await end(second, false)

  const fetched = await until('all is decided', async () => {
    const found = await fetch(place)
    return found.stableEnd === 11 && found
  })
  const at = { topic, partition }
  const read = (from: number) => decodeBatches(at, fetched.batches, from, fetched.aborted)
  t.equal(fetched.aborted.length, 2)
  t.strictSame(
    read(0).records.map((record) => `${record.offset} ${record.valueText()}`),
    ['2 committed 2', '5 committed 5', '6 committed 6'],
  )
  t.equal(read(0).next, 11)
  t.equal(decodeBatches(at, fetched.batches, 0).records.length, 7, 'but for the list')
})
