// DescribeConfigs: some settings of several topics.
import type { KafkaRequest, Response } from '../request.js'
import { type AnsweredTopic, readTopicResource, writeTopicResource } from './topic-resource.js'

interface SettingsOfTopic extends AnsweredTopic {
  /** By name, those that are told. */
  readonly values: ReadonlyMap<string, string>
}

export interface TopicSettings extends Response {
  readonly topics: readonly SettingsOfTopic[]
}

/** To any broker. */
export const describeTopicSettings = (
  settings: readonly string[],
  topics: readonly string[],
): KafkaRequest<TopicSettings> => ({
  apiName: 'DescribeConfigs',
  apiKey: 32,
  apiVersion: 4,
  isFlexible: true,
  encode(writer) {
    writer.array(topics, (topic) => {
      writeTopicResource(writer, topic)
        .array(settings, (name) => writer.string(name))
        .tags()
    })
    const tellsSynonyms = false
    const tellsMeaning = false
    writer.boolean(tellsSynonyms).boolean(tellsMeaning).tags()
  },
  decode(reader) {
    const throttleMs = reader.int32()
    const topics = reader.array(() => {
      const answered = readTopicResource(reader)
      const values = new Map<string, string>()
      reader.array(() => {
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
        if (value !== null) values.set(name, value)
      })
      reader.tags()
      return { ...answered, values }
    })
    reader.tags()
    return { throttleMs, topics }
  },
})
