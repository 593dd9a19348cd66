// A request of Kafka's protocol in one version, and what many of them have in common.
import type { TopicPartition } from '../log.js'
import type { Reader, Writer } from './wire.js'

export interface Response {
  /** How long the broker asks to be left alone, for a quota. */
  readonly throttleMs: number
}

export interface KafkaRequest<R extends Response> {
  readonly apiName: string
  readonly apiKey: number
  readonly apiVersion: number
  /** Of this version: headers and structures end with tags, lengths are compact. */
  readonly isFlexible: boolean
  /** How long the broker may take on purpose, beside the time that any request may take. */
  readonly waitMs?: number
  /** What any request may take; its connection is given up then. Absent: as the settings have it. */
  readonly answerMs?: number
  /** A Fetch that is not to wait behind another one: it goes by the connection of all other requests. */
  readonly isAside?: boolean
  encode(writer: Writer): void
  decode(reader: Reader): R
}

/** What is known of who is asked. */
export interface Led {
  /** In which it leads the partition; −1: not known, and not compared. */
  readonly currentLeaderEpoch: number
}

/** Writes what is given for partitions, topic by topic, as every request wants it. `topic` writes what names it. */
export function writeTopics<T extends TopicPartition>(
  writer: Writer,
  items: readonly T[],
  topic: (name: string) => unknown,
  partition: (item: T) => unknown,
): void {
  const topics = new Map<string, T[]>()
  for (const item of items) {
    const known = topics.get(item.topic)
    if (known === undefined) topics.set(item.topic, [item])
    else known.push(item)
  }
  writer.array([...topics], ([name, partitions]) => {
    topic(name)
    writer.array(partitions, partition).tags()
  })
}

/** Reads what is answered for partitions, which may be in another order than asked for; `topic` reads what names theirs. */
export function readTopics<T>(
  reader: Reader,
  topic: () => string,
  partition: (topic: string) => T,
): T[] {
  const topics = reader.array(() => {
    const name = topic()
    const partitions = reader.array(() => partition(name))
    reader.tags()
    return partitions
  })
  return topics.flat()
}
