// The requests of a transaction besides Produce, all to the coordinator of its transactional id but TxnOffsetCommit, which goes to
// the group's. In versions in which a fenced producer is told INVALID_PRODUCER_EPOCH by each of them.
import type { Position, TopicPartition } from '../../log.js'
import { type KafkaRequest, type Response, readTopics, writeTopics } from '../request.js'
import type { Writer } from '../wire.js'
import type { Producer } from './init-producer-id.js'

export interface TransactionalProducer extends Producer {
  readonly transactionalId: string
}

export interface Outcome extends Response {
  readonly error: number
}

export interface PartitionOutcome extends TopicPartition {
  readonly error: number
}

export interface PartitionOutcomes extends Response {
  readonly partitions: readonly PartitionOutcome[]
}

const writeProducer = (writer: Writer, producer: TransactionalProducer) =>
  writer.string(producer.transactionalId).int64(producer.producerId).int16(producer.producerEpoch)

/** Before the first batch to these partitions in a transaction. */
export const addPartitionsToTxn = (
  producer: TransactionalProducer,
  partitions: readonly TopicPartition[],
): KafkaRequest<PartitionOutcomes> => ({
  apiName: 'AddPartitionsToTxn',
  apiKey: 24,
  apiVersion: 1,
  isFlexible: false,
  encode(writer) {
    writeProducer(writer, producer)
    writeTopics(
      writer,
      partitions,
      (topic) => writer.string(topic),
      ({ partition }) => writer.int32(partition),
    )
  },
  decode(reader) {
    const throttleMs = reader.int32()
    const outcomes = readTopics(
      reader,
      () => reader.text(),
      (topic) => ({ topic, partition: reader.int32(), error: reader.int16() }),
    )
    return { throttleMs, partitions: outcomes }
  },
})

/** Before `txnOffsetCommit`: the transaction will move positions of the group. */
export const addOffsetsToTxn = (
  producer: TransactionalProducer,
  group: string,
): KafkaRequest<Outcome> => ({
  apiName: 'AddOffsetsToTxn',
  apiKey: 25,
  apiVersion: 1,
  isFlexible: false,
  encode(writer) {
    writeProducer(writer, producer).string(group)
  },
  decode: (reader) => ({ throttleMs: reader.int32(), error: reader.int16() }),
})

/** Commits the transaction, or aborts it. */
export const endTxn = (
  producer: TransactionalProducer,
  isCommit: boolean,
): KafkaRequest<Outcome> => ({
  apiName: 'EndTxn',
  apiKey: 26,
  apiVersion: 1,
  isFlexible: false,
  encode(writer) {
    writeProducer(writer, producer).boolean(isCommit)
  },
  decode: (reader) => ({ throttleMs: reader.int32(), error: reader.int16() }),
})

/** What a member of the group proves: a generation or member that is no more is refused with ILLEGAL_GENERATION or UNKNOWN_MEMBER_ID. */
export interface GroupMember {
  readonly group: string
  readonly generation: number
  readonly member: string
}

export interface PositionToCommit extends Position {
  /** Kept with it. */
  readonly metadata?: string | undefined
}

/** Moves the group's positions when the transaction commits. To the group's coordinator. */
export const txnOffsetCommit = (
  producer: TransactionalProducer,
  { group, generation, member }: GroupMember,
  positions: readonly PositionToCommit[],
): KafkaRequest<PartitionOutcomes> => ({
  apiName: 'TxnOffsetCommit',
  apiKey: 28,
  apiVersion: 3,
  isFlexible: true,
  encode(writer) {
    writer.string(producer.transactionalId).string(group)
    writer.int64(producer.producerId).int16(producer.producerEpoch)
    const noStaticMember = null
    writer.int32(generation).string(member).string(noStaticMember)
    writeTopics(
      writer,
      positions,
      (topic) => writer.string(topic),
      ({ partition, offset, leaderEpoch = -1, metadata = null }) => {
        writer.int32(partition).int64(offset).int32(leaderEpoch).string(metadata).tags()
      },
    )
    writer.tags()
  },
  decode(reader) {
    const throttleMs = reader.int32()
    const partitions = readTopics(
      reader,
      () => reader.text(),
      (topic) => {
        const outcome = { topic, partition: reader.int32(), error: reader.int16() }
        reader.tags()
        return outcome
      },
    )
    reader.tags()
    return { throttleMs, partitions }
  },
})
