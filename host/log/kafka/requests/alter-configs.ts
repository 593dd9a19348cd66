// IncrementalAlterConfigs: sets one setting of several topics, and leaves their others as they are.
import type { KafkaRequest, Response } from '../request.js'

export interface AlteredTopic {
  readonly topic: string
  readonly error: number
  readonly message: string | null
}

export interface AlteredTopics extends Response {
  readonly topics: readonly AlteredTopic[]
}

const topicResource = 2
const toSet = 0

/** To any broker. */
export const setTopicSetting = (
  setting: string,
  topics: readonly { readonly name: string; readonly value: string }[],
): KafkaRequest<AlteredTopics> => ({
  apiName: 'IncrementalAlterConfigs',
  apiKey: 44,
  apiVersion: 1,
  isFlexible: true,
  encode(writer) {
    writer.array(topics, ({ name, value }) => {
      writer.int8(topicResource).string(name)
      writer
        .array([value], (value) => writer.string(setting).int8(toSet).string(value).tags())
        .tags()
    })
    const isTrialOnly = false
    writer.boolean(isTrialOnly).tags()
  },
  decode(reader) {
    const throttleMs = reader.int32()
    const topics = reader.array(() => {
      const error = reader.int16()
      const message = reader.string()
      reader.int8() // kind of resource
      const topic = reader.text()
      reader.tags()
      return { topic, error, message }
    })
    reader.tags()
    return { throttleMs, topics }
  },
})
