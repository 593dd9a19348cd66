// Fetch: record batches from the leader of their partitions, by the id of the topic: of one that was made anew nothing is returned.
import type { TopicPartition } from '../../log.js'
import type { AbortedTransaction } from '../decoding.js'
import { type KafkaRequest, type Response, readTopics, writeTopics } from '../request.js'

export interface PartitionToFetch extends TopicPartition {
  /** From this offset on. */
  readonly offset: number
  /** Of the last record that was read before it; −1: unknown. With it the broker tells when the log was cut below the offset. */
  readonly lastEpoch: number
  /** Nothing is returned but an error if the leader's is another; −1: any. */
  readonly currentEpoch: number
  readonly maxBytes: number
}

export interface FetchOptions {
  /** How long the broker waits for `minBytes`. */
  readonly maxWaitMs: number
  readonly minBytes: number
  /** Of all partitions together; the first batch is returned even if it is larger. */
  readonly maxBytes: number
  /** Of each topic by its name, as Metadata has it. */
  readonly topicIds: ReadonlyMap<string, string>
  /** Beside another Fetch: see KafkaRequest. */
  readonly isAside?: boolean
}

export interface Fetched extends TopicPartition {
  /** UNKNOWN_TOPIC_ID: the topic of this id is gone. */
  readonly error: number
  readonly highWatermark: number
  readonly stableEnd: number
  readonly oldest: number
  readonly aborted: readonly AbortedTransaction[]
  /** Where the log left what was read: the epoch, and its end. Nothing is returned then. */
  readonly diverged: { readonly leaderEpoch: number; readonly end: number } | undefined
  /** Batches one after another, the last perhaps cut off; a view of what was received. */
  readonly batches: Buffer
}

export interface FetchedPartitions extends Response {
  readonly error: number
  readonly partitions: readonly Fetched[]
}

const nothing = Buffer.alloc(0)
const noSession = { id: 0, epoch: -1 }

/** Committed reading, always: no record at or above an open transaction. */
export const fetchRecords = (
  options: FetchOptions,
  partitions: readonly PartitionToFetch[],
): KafkaRequest<FetchedPartitions> => {
  const { maxWaitMs, minBytes, maxBytes, topicIds, isAside = false } = options
  return {
    apiName: 'Fetch',
    apiKey: 1,
    apiVersion: 13,
    isFlexible: true,
    waitMs: maxWaitMs,
    isAside,
    encode(writer) {
      const noReplica = -1
      const readCommitted = 1
      writer.int32(noReplica).int32(maxWaitMs).int32(minBytes).int32(maxBytes).int8(readCommitted)
      writer.int32(noSession.id).int32(noSession.epoch)
      writeTopics(
        writer,
        partitions,
        (topic) => {
          const id = topicIds.get(topic)
          if (id === undefined) throw new TypeError(`no id is given for the topic ${topic}`)
          writer.uuid(id)
        },
        ({ partition, offset, lastEpoch, currentEpoch, maxBytes }) => {
          const noReplicasOldest = -1
          writer.int32(partition).int32(currentEpoch).int64(offset).int32(lastEpoch)
          writer.int64(noReplicasOldest).int32(maxBytes).tags()
        },
      )
      const forgotten: readonly [] = []
      const rack = ''
      writer
        .array(forgotten, () => {})
        .string(rack)
        .tags()
    },
    decode(reader) {
      const names = new Map([...topicIds].map(([name, id]) => [id, name]))
      const throttleMs = reader.int32()
      const error = reader.int16()
      reader.int32() // session
      const fetched = readTopics(
        reader,
        () => {
          const id = reader.uuid()
          return names.get(id) ?? id
        },
        (topic) => {
          const head = {
            topic,
            partition: reader.int32(),
            error: reader.int16(),
            highWatermark: reader.int64(),
            stableEnd: reader.int64(),
            oldest: reader.int64(),
          }
          const aborted = reader.array(() => {
            const transaction = { producerId: reader.int64(), firstOffset: reader.int64() }
            reader.tags()
            return transaction
          })
          reader.int32() // preferredReplica
          const batches = reader.bytes() ?? nothing
          let diverged: Fetched['diverged']
          reader.tags((tag, field) => {
            if (tag === 0) diverged = { leaderEpoch: field.int32(), end: field.int64() }
          })
          return { ...head, aborted, diverged, batches }
        },
      )
      reader.tags()
      return { throttleMs, error, partitions: fetched }
    },
  }
}
