// OffsetForLeaderEpoch: where the records of a leader epoch end. A position above that, of this epoch, was cut off.
import type { TopicPartition } from '../../log.js'
import { type KafkaRequest, type Led, type Response, readTopics, writeTopics } from '../request.js'

export interface LeaderEpochOf extends TopicPartition, Partial<Led> {
  readonly leaderEpoch: number
}

export interface EndOfEpoch extends TopicPartition {
  readonly error: number
  /** The epoch that was asked for, or the nearest older one; −1: the log knows neither. */
  readonly leaderEpoch: number
  /** −1: the log knows no such epoch. */
  readonly end: number
}

export interface EndsOfEpochs extends Response {
  readonly partitions: readonly EndOfEpoch[]
}

/** To the leader of the partitions. */
export const offsetForLeaderEpoch = (
  partitions: readonly LeaderEpochOf[],
): KafkaRequest<EndsOfEpochs> => ({
  apiName: 'OffsetForLeaderEpoch',
  apiKey: 23,
  apiVersion: 4,
  isFlexible: true,
  encode(writer) {
    const noReplica = -1
    writer.int32(noReplica)
    writeTopics(
      writer,
      partitions,
      (topic) => writer.string(topic),
      ({ partition, leaderEpoch, currentLeaderEpoch = -1 }) => {
        writer.int32(partition).int32(currentLeaderEpoch).int32(leaderEpoch).tags()
      },
    )
    writer.tags()
  },
  decode(reader) {
    const throttleMs = reader.int32()
    const ends = readTopics(
      reader,
      () => reader.text(),
      (topic) => {
        const error = reader.int16()
        const partition = reader.int32()
        const leaderEpoch = reader.int32()
        const end = reader.int64()
        reader.tags()
        return { topic, partition, error, leaderEpoch, end }
      },
    )
    reader.tags()
    return { throttleMs, partitions: ends }
  },
})
