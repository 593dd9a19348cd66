// ListOffsets: the ends of partitions, and the first offset of a time.
import type { TopicPartition } from '../../log.js'
import { type KafkaRequest, type Led, type Response, readTopics, writeTopics } from '../request.js'

/** What may be asked for instead of a time. */
export const offsetAt = {
  /** The last stable offset; of uncommitted reading the high watermark. */
  latest: -1,
  earliest: -2,
} as const

export interface TimeOf extends TopicPartition, Partial<Led> {
  /** Milliseconds since 1970, or one of `offsetAt`. */
  readonly time: number
}

export interface OffsetAtTime extends TopicPartition {
  readonly error: number
  /** Of the first record whose timestamp is at least the time; −1: there is none. */
  readonly offset: number
  /** Of that record; −1 for the ends. */
  readonly timestamp: number
  /** Of that record; for the latest end that of the leader that tells it. −1: it does not say. */
  readonly leaderEpoch: number
}

export interface OffsetsAtTimes extends Response {
  readonly partitions: readonly OffsetAtTime[]
}

/** To the leader of the partitions. Of committed reading: nothing at or above an open transaction. */
export const listOffsets = (
  partitions: readonly TimeOf[],
  isCommitted = true,
): KafkaRequest<OffsetsAtTimes> => ({
  apiName: 'ListOffsets',
  apiKey: 2,
  apiVersion: 5,
  isFlexible: false,
  encode(writer) {
    const noReplica = -1
    const isolation = isCommitted ? 1 : 0
    writer.int32(noReplica).int8(isolation)
    writeTopics(
      writer,
      partitions,
      (topic) => writer.string(topic),
      ({ partition, time, currentLeaderEpoch = -1 }) => {
        writer.int32(partition).int32(currentLeaderEpoch).int64(time)
      },
    )
  },
  decode(reader) {
    const throttleMs = reader.int32()
    const found = readTopics(
      reader,
      () => reader.text(),
      (topic) => {
        const partition = reader.int32()
        const error = reader.int16()
        const timestamp = reader.int64()
        const offset = reader.int64()
        const leaderEpoch = reader.int32()
        return { topic, partition, error, offset, timestamp, leaderEpoch }
      },
    )
    return { throttleMs, partitions: found }
  },
})
