// DeleteTopics: removes topics by their ids, so that none is removed that was made anew under its name.
import type { KafkaRequest, Response } from '../request.js'

export interface DeletedTopic {
  readonly id: string
  /** UNKNOWN_TOPIC_ID: it is gone. */
  readonly error: number
  readonly message: string | null
}

export interface DeletedTopics extends Response {
  readonly topics: readonly DeletedTopic[]
}

/** To the controller. */
export const deleteTopics = (
  ids: readonly string[],
  timeoutMs: number,
): KafkaRequest<DeletedTopics> => ({
  apiName: 'DeleteTopics',
  apiKey: 20,
  apiVersion: 6,
  isFlexible: true,
  waitMs: timeoutMs,
  encode(writer) {
    writer.array(ids, (id) => writer.string(null).uuid(id).tags())
    writer.int32(timeoutMs).tags()
  },
  decode(reader) {
    const throttleMs = reader.int32()
    const topics = reader.array(() => {
      reader.string() // name, of one that may be known of
      const topic = { id: reader.uuid(), error: reader.int16(), message: reader.string() }
      reader.tags()
      return topic
    })
    reader.tags()
    return { throttleMs, topics }
  },
})
