// A topic as what has settings: how requests about these name it, and how answers do.
import type { Reader, Writer } from '../wire.js'

const topicResource = 2

export interface AnsweredTopic {
  readonly topic: string
  readonly error: number
  readonly message: string | null
}

export const writeTopicResource = (writer: Writer, topic: string): Writer =>
  writer.int8(topicResource).string(topic)

export function readTopicResource(reader: Reader): AnsweredTopic {
  const error = reader.int16()
  const message = reader.string()
  reader.int8() // kind of resource
  return { topic: reader.text(), error, message }
}
