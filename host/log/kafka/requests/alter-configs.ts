// IncrementalAlterConfigs: sets one setting of several topics, and leaves their others as they are.
import type { KafkaRequest, Response } from '../request.js'
import { type AnsweredTopic, readTopicResource, writeTopicResource } from './topic-resource.js'

export interface AlteredTopics extends Response {
  readonly topics: readonly AnsweredTopic[]
}

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
      writeTopicResource(writer, name)
        .array([value], (value) => writer.string(setting).int8(toSet).string(value).tags())
        .tags()
    })
    const isTrialOnly = false
    writer.boolean(isTrialOnly).tags()
  },
  decode(reader) {
    const throttleMs = reader.int32()
    const topics = reader.array(() => {
      const answered = readTopicResource(reader)
      reader.tags()
      return answered
    })
    reader.tags()
    return { throttleMs, topics }
  },
})
