// Produce: record batches, made elsewhere, to the leader of their partitions.
import type { TopicPartition } from '../../log.js'
import { type KafkaRequest, type Response, readTopics, writeTopics } from '../request.js'

export interface BatchToProduce extends TopicPartition {
  readonly batch: Uint8Array
}

export interface ProduceOptions {
  /** Of the transaction that the batches belong to; null: none. */
  readonly transactionalId: string | null
  /** How long the broker waits for its replicas. */
  readonly timeoutMs: number
}

export interface Produced extends TopicPartition {
  readonly error: number
  /** Of the first record; −1 if it was refused. */
  readonly offset: number
  /** What the broker says of a refusal. */
  readonly message: string | null
}

export interface ProducedBatches extends Response {
  readonly partitions: readonly Produced[]
}

/** Acknowledged by all replicas in sync. At most one batch a partition. */
export const produce = (
  { transactionalId, timeoutMs }: ProduceOptions,
  batches: readonly BatchToProduce[],
): KafkaRequest<ProducedBatches> => ({
  apiName: 'Produce',
  apiKey: 0,
  apiVersion: 8,
  isFlexible: false,
  waitMs: timeoutMs,
  encode(writer) {
    const byAllReplicas = -1
    writer.string(transactionalId).int16(byAllReplicas).int32(timeoutMs)
    writeTopics(
      writer,
      batches,
      (topic) => writer.string(topic),
      ({ partition, batch }) => writer.int32(partition).bytes(batch),
    )
  },
  decode(reader) {
    const partitions = readTopics(
      reader,
      () => reader.text(),
      (topic) => {
        const partition = reader.int32()
        const error = reader.int16()
        const offset = reader.int64()
        reader.int64() // appendTime
        reader.int64() // log start
        const refused = reader.array(() => {
          reader.int32() // index in the batch
          return reader.string()
        })
        const message = reader.string() ?? refused[0] ?? null
        return { topic, partition, error, offset, message }
      },
    )
    return { throttleMs: reader.int32(), partitions }
  },
})
