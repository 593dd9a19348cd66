// DescribeConfigs: one setting of several topics.
import type { KafkaRequest, Response } from '../request.js'

export interface TopicSetting {
  readonly topic: string
  readonly error: number
  readonly message: string | null
  /** Undefined: it is not told. */
  readonly value: string | undefined
}

export interface TopicSettings extends Response {
  readonly topics: readonly TopicSetting[]
}

const topicResource = 2

/** To any broker. */
export const describeTopicSetting = (
  setting: string,
  topics: readonly string[],
): KafkaRequest<TopicSettings> => ({
  apiName: 'DescribeConfigs',
  apiKey: 32,
  apiVersion: 4,
  isFlexible: true,
  encode(writer) {
    writer.array(topics, (topic) => {
      writer.int8(topicResource).string(topic)
      writer.array([setting], (name) => writer.string(name)).tags()
    })
    const tellsSynonyms = false
    const tellsMeaning = false
    writer.boolean(tellsSynonyms).boolean(tellsMeaning).tags()
  },
  decode(reader) {
    const throttleMs = reader.int32()
    const topics = reader.array(() => {
      const error = reader.int16()
      const message = reader.string()
      reader.int8() // kind of resource
      const topic = reader.text()
      const values = reader.array(() => {
        const name = reader.text()
        const value = reader.string()
        reader.boolean() // read only
        reader.int8() // source
        reader.boolean() // sensitive
        reader.array(() => {
          reader.string() // name
          reader.string() // value
          reader.int8() // source
          reader.tags()
        })
        reader.int8() // type
        reader.string() // meaning
        reader.tags()
        return name === setting ? value : null
      })
      reader.tags()
      return { topic, error, message, value: values.find((value) => value !== null) ?? undefined }
    })
    reader.tags()
    return { throttleMs, topics }
  },
})
