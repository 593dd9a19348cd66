// The broker's side of the protocol: reads what is produced, and writes the answers.
import { kafkaErrors } from '#host/log/kafka/error-codes.js'
import {
  type KafkaRequest,
  type Response,
  readTopics,
  writeTopics,
} from '#host/log/kafka/request.js'
import type { Producer } from '#host/log/kafka/requests/init-producer-id.js'
import type { TopicMetadata } from '#host/log/kafka/requests/metadata.js'
import type { Produced } from '#host/log/kafka/requests/produce.js'
import { Reader, Writer } from '#host/log/kafka/wire.js'
import type { TopicPartition } from '#host/log/log.js'

export interface ProducedBatch extends TopicPartition {
  readonly bytes: Buffer
}

type WriteAnswer = (writer: Writer) => unknown

const throttleMs = 0

export function answerTo<R extends Response>(request: KafkaRequest<R>, write: WriteAnswer): R {
  const writer = new Writer(request.isFlexible)
  write(writer)
  return request.decode(new Reader(writer.take(), request.isFlexible))
}

export function batchesOf<R extends Response>(request: KafkaRequest<R>): ProducedBatch[] {
  const writer = new Writer(request.isFlexible)
  request.encode(writer)
  const reader = new Reader(writer.take(), request.isFlexible)
  reader.string() // transactional id
  reader.int16() // acknowledged by
  reader.int32() // time-out
  return readTopics(
    reader,
    () => reader.text(),
    (topic) => ({ topic, partition: reader.int32(), bytes: reader.bytes() ?? Buffer.alloc(0) }),
  )
}

export const producedAnswer =
  (partitions: readonly Produced[]): WriteAnswer =>
  (writer) => {
    const appendTime = -1
    const logStart = 0
    writeTopics(
      writer,
      partitions,
      (topic) => writer.string(topic),
      ({ partition, error, offset, message }) => {
        writer.int32(partition).int16(error).int64(offset).int64(appendTime).int64(logStart)
        writer.array([], () => {}).string(message)
      },
    )
    writer.int32(throttleMs)
  }

export const producerAnswer =
  ({ producerId, producerEpoch }: Producer): WriteAnswer =>
  (writer) => {
    writer.int32(throttleMs).int16(kafkaErrors.NONE)
    writer.int64(producerId).int16(producerEpoch).tags()
  }

/** Without the addresses of brokers: nobody connects to them. */
export const metadataAnswer =
  ({ error, name, id, isInternal, partitions }: TopicMetadata): WriteAnswer =>
  (writer) => {
    const noController = -1
    const noOperations = 0
    writer.int32(throttleMs).array([], () => {})
    writer.string(null).int32(noController)
    writer.array([name], () => {
      writer.int16(error).string(name).uuid(id).boolean(isInternal)
      writer.array(partitions, (one) => {
        writer.int16(one.error).int32(one.partition).int32(one.leader).int32(one.leaderEpoch)
        for (const replicas of [one.replicas, one.inSync, []]) {
          writer.array(replicas, (replica) => writer.int32(replica))
        }
        writer.tags()
      })
      writer.int32(noOperations).tags()
    })
    writer.tags()
  }
