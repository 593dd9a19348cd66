// A cluster of kafkajs with connections of its own, for requests that its clients do not make.
import type { Broker, Cluster, Kafka } from 'kafkajs'
import { Link } from './link.js'
import { metadata } from './requests/metadata.js'

/** What of kafkajs 2.2.4 is used beyond its types. */
interface RawPool {
  findConnectedBroker(): Promise<Broker>
}

const hasPool = (cluster: Cluster): cluster is Cluster & { readonly brokerPool: RawPool } =>
  'brokerPool' in cluster

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
  if (captured === undefined || !hasPool(captured)) {
    throw new TypeError('this is not kafkajs 2.2.4')
  }
  askForBrokersAlone(captured.brokerPool)
  return captured
}

/**
 * To know the brokers kafkajs asks for all topics of the cluster, however many there are, and fails as long as a partition of any of them
 * has no leader. Who is asked for its metadata tells of no topic here.
 */
function askForBrokersAlone(pool: RawPool): void {
  const find = pool.findConnectedBroker.bind(pool)
  pool.findConnectedBroker = async () => {
    const broker = await find()
    return Object.create(broker, { metadata: { value: () => brokersBy(broker) } })
  }
}

async function brokersBy(broker: Broker) {
  const { brokers, clusterId, controller } = await new Link(broker).ask(metadata([]))
  return {
    brokers: brokers.map(({ id, host, port }) => ({ nodeId: id, host, port, rack: null })),
    clusterId,
    controllerId: controller,
    topicMetadata: [],
  }
}

const never = (): never => {
  throw new TypeError('the consumer of a captured cluster was run')
}
const unused = { name: 'unused', version: 0, assign: never, protocol: never }
