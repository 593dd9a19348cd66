// CreateTopics: makes topics, each for itself.
import type { KafkaRequest, Response } from '../request.js'

export interface TopicToCreate {
  readonly name: string
  readonly partitions: number
  /** −1: as the brokers have it. */
  readonly replication: number
  readonly entries: readonly { readonly name: string; readonly value: string }[]
}

/** What became of one topic that was asked for. */
export interface CreatedTopic {
  readonly name: string
  readonly error: number
  /** What the broker has to say about it. */
  readonly message: string | null
}

export interface CreatedTopics extends Response {
  readonly topics: readonly CreatedTopic[]
}

/** To the controller. */
export const createTopics = (
  topics: readonly TopicToCreate[],
  timeoutMs: number,
): KafkaRequest<CreatedTopics> => ({
  apiName: 'CreateTopics',
  apiKey: 19,
  apiVersion: 5,
  isFlexible: true,
  waitMs: timeoutMs,
  encode(writer) {
    writer.array(topics, ({ name, partitions, replication, entries }) => {
      writer.string(name).int32(partitions).int16(replication)
      // Where its replicas are is left to the controller.
      writer.array([], () => {})
      writer.array(entries, (entry) => writer.string(entry.name).string(entry.value).tags()).tags()
    })
    const isTrialOnly = false
    writer.int32(timeoutMs).boolean(isTrialOnly).tags()
  },
  decode(reader) {
    const throttleMs = reader.int32()
    const topics = reader.array(() => {
      const topic = { name: reader.text(), error: reader.int16(), message: reader.string() }
      reader.int32() // partitions
      reader.int16() // replicas
      reader.array(() => {
        reader.string() // name
        reader.string() // value
        reader.boolean() // read only
        reader.int8() // source
        reader.boolean() // sensitive
        reader.tags()
      })
      reader.tags()
      return topic
    })
    reader.tags()
    return { throttleMs, topics }
  },
})
