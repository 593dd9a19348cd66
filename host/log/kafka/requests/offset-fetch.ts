// OffsetFetch: a group's committed positions, once no transaction that moves them is open.
import type { Position, TopicPartition } from '../../log.js'
import { type KafkaRequest, type Response, readTopics, writeTopics } from '../request.js'

/** `offset` is −1 where nothing was committed. */
export interface CommittedPosition extends Position {
  /** UNSTABLE_OFFSET_COMMIT while a transaction over it is open: ask again. */
  readonly error: number
  /** −1: none was committed with it. */
  readonly leaderEpoch: number
  readonly metadata: string | null
}

export interface CommittedPositions extends Response {
  readonly error: number
  readonly positions: readonly CommittedPosition[]
}

/** To the group's coordinator. `partitions`: null asks for all that the group has. */
export const offsetFetch = (
  group: string,
  partitions: readonly TopicPartition[] | null,
): KafkaRequest<CommittedPositions> => ({
  apiName: 'OffsetFetch',
  apiKey: 9,
  apiVersion: 7,
  isFlexible: true,
  encode(writer) {
    writer.string(group)
    if (partitions === null) writer.array(null, () => {})
    else {
      writeTopics(
        writer,
        partitions,
        (topic) => writer.string(topic),
        ({ partition }) => writer.int32(partition),
      )
    }
    const requiresStable = true
    writer.boolean(requiresStable).tags()
  },
  decode(reader) {
    const throttleMs = reader.int32()
    const positions = readTopics(
      reader,
      () => reader.text(),
      (topic) => {
        const partition = reader.int32()
        const offset = reader.int64()
        const leaderEpoch = reader.int32()
        const metadata = reader.string()
        const error = reader.int16()
        reader.tags()
        return { topic, partition, offset, leaderEpoch, metadata, error }
      },
    )
    const error = reader.int16()
    reader.tags()
    return { throttleMs, error, positions }
  },
})
