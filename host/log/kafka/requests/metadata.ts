// Metadata: brokers, and topics with their ids, partitions, leaders and leader epochs.
import type { KafkaRequest, Response } from '../request.js'

export interface PartitionMetadata {
  readonly partition: number
  readonly error: number
  /** −1: none. */
  readonly leader: number
  readonly leaderEpoch: number
  readonly replicas: readonly number[]
  readonly inSync: readonly number[]
}

export interface TopicMetadata {
  readonly error: number
  readonly name: string
  /** As Kafka's tools show it. Another id under the same name: deleted and made anew. */
  readonly id: string
  readonly isInternal: boolean
  /** By number; the broker sends them in any order. */
  readonly partitions: readonly PartitionMetadata[]
}

export interface BrokerAddress {
  readonly id: number
  readonly host: string
  readonly port: number
}

export interface Metadata extends Response {
  readonly brokers: readonly BrokerAddress[]
  readonly clusterId: string | null
  /** Whom to ask to make topics and to remove them. */
  readonly controller: number
  /** A topic that does not exist is there with UNKNOWN_TOPIC_OR_PARTITION. */
  readonly topics: readonly TopicMetadata[]
}

/** `names`: null asks for all topics. None is created. */
export const metadata = (names: readonly string[] | null): KafkaRequest<Metadata> => ({
  apiName: 'Metadata',
  apiKey: 3,
  apiVersion: 12,
  isFlexible: true,
  encode(writer) {
    // The id stays zero: it is asked for by name.
    writer.array(names, (name) => writer.uuid(null).string(name).tags())
    const createsTopics = false
    const listsOperations = false
    writer.boolean(createsTopics).boolean(listsOperations).tags()
  },
  decode(reader) {
    const throttleMs = reader.int32()
    const brokers = reader.array(() => {
      const broker = { id: reader.int32(), host: reader.text(), port: reader.int32() }
      reader.string() // rack
      reader.tags()
      return broker
    })
    const clusterId = reader.string()
    const controller = reader.int32()
    const topics = reader.array(() => {
      const topic = {
        error: reader.int16(),
        name: reader.text(),
        id: reader.uuid(),
        isInternal: reader.boolean(),
      }
      const partitions = reader.array(() => {
        const partition = {
          error: reader.int16(),
          partition: reader.int32(),
          leader: reader.int32(),
          leaderEpoch: reader.int32(),
          replicas: reader.array(() => reader.int32()),
          inSync: reader.array(() => reader.int32()),
        }
        reader.array(() => reader.int32()) // offline replicas
        reader.tags()
        return partition
      })
      reader.int32() // authorized operations
      reader.tags()
      return { ...topic, partitions: partitions.sort((a, b) => a.partition - b.partition) }
    })
    reader.tags()
    return { throttleMs, brokers, clusterId, controller, topics }
  },
})
