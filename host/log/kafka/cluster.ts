// A cluster of kafkajs with connections of its own, for requests that its clients do not make.
import type { Cluster, Kafka } from 'kafkajs'

/**
 * kafkajs hands its cluster to nobody but to the assigners of a consumer: this one's never joins anything. Connect it, and disconnect
 * it at the end. What waits on one of its connections (a long poll) holds up what is sent after it there, so readers and writers have
 * one each.
 */
export function openCluster(kafka: Kafka): Cluster {
  let captured: Cluster | undefined
  kafka.consumer({
    groupId: 'never-joined',
    allowAutoTopicCreation: false,
    partitionAssigners: [
      ({ cluster }) => {
        captured = cluster
        return unused
      },
    ],
  })
  if (captured === undefined) throw new TypeError('this is not kafkajs 2.2.4')
  return captured
}

const never = (): never => {
  throw new TypeError('the consumer of a captured cluster was run')
}
const unused = { name: 'unused', version: 0, assign: never, protocol: never }
