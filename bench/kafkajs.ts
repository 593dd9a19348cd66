// What kafkajs does by itself on the same broker: the rates at which it produces and consumes, with nothing done beside.
import { randomUUID } from 'node:crypto'
import kafkajs from 'kafkajs'
import { compress, decompress } from '#host/log/kafka/compression.js'

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs

// What the host writes: kafkajs has no codec of its own for it.
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async ({ buffer }: { buffer: Buffer }) => compress(buffer, 'lz4'),
  decompress: async (bytes: Buffer) => decompress(bytes, 'lz4'),
})

const kafka = (brokers: readonly string[]) =>
  new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING })

/** Records a second, of a topic with as many. */
export async function consumeRate(
  brokers: readonly string[],
  topic: string,
  records: number,
): Promise<number> {
  const consumer = kafka(brokers).consumer({
    groupId: `bench-${randomUUID()}`,
    allowAutoTopicCreation: false,
    maxBytesPerPartition: 4 * 1024 * 1024,
  })
  try {
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    let began = 0
    let seen = 0
    let failure: Error | undefined
    await new Promise<void>((resolve) => {
      consumer.on('consumer.crash', ({ payload }) => {
        failure = payload.error
        resolve()
      })
      consumer.on('consumer.group_join', () => {
        began = performance.now()
      })
      void consumer.run({
        eachBatchAutoResolve: true,
        eachBatch: async ({ batch }) => {
          seen += batch.messages.length
          if (seen >= records) resolve()
        },
      })
    })
    if (failure !== undefined) throw failure
    return (seen * 1000) / (performance.now() - began)
  } finally {
    await consumer.disconnect()
  }
}

/** Acknowledged records a second, some thousand in each call. */
export async function produceRate(
  brokers: readonly string[],
  topic: string,
  batches: Iterable<readonly { readonly key: string; readonly value: string }[]>,
): Promise<number> {
  const producer = kafka(brokers).producer({ allowAutoTopicCreation: false, idempotent: true })
  await producer.connect()
  try {
    const began = performance.now()
    let sent = 0
    for (const batch of batches) {
      await producer.send({ topic, messages: [...batch], acks: -1 })
      sent += batch.length
    }
    return (sent * 1000) / (performance.now() - began)
  } finally {
    await producer.disconnect()
  }
}
