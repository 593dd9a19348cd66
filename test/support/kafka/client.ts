// A connection to a broker for tests of single requests.
import { type Broker, type Cluster, Kafka, type KafkaConfig, logLevel } from 'kafkajs'
import type { Test } from 'tap'
import { Brokers } from '#host/log/kafka/brokers.js'
import { openCluster } from '#host/log/kafka/cluster.js'
import { Link } from '#host/log/kafka/link.js'
import { metadata } from '#host/log/kafka/requests/metadata.js'
import { until } from '../until.js'
import { ownName } from './shared.js'

export const quietKafka = (address: string, config: Partial<KafkaConfig> = {}): Kafka =>
  new Kafka({
    brokers: [address],
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 50, maxRetryTime: 500, retries: 40 },
    ...config,
  })

/** A cluster of its own, and a link to its only broker. */
export async function linkTo(
  t: Test,
  address: string,
  config: Partial<KafkaConfig> = {},
): Promise<{ cluster: Cluster; broker: Broker; link: Link }> {
  const cluster = openCluster(quietKafka(address, config))
  t.teardown(() => cluster.disconnect())
  await cluster.connect()
  await cluster.refreshMetadata()
  const [nodeId = -1] = cluster.getNodeIds()
  const broker = await cluster.findBroker({ nodeId: String(nodeId) })
  return { cluster, broker, link: new Link(broker) }
}

/**
 * Makes topics with the partitions that are given for each, and waits until they take what is sent. kafkajs' own
 * wait gives up when the broker that it asks has not heard of a topic yet.
 */
export async function makeTopics(
  t: Test,
  address: string,
  topics: Readonly<Record<string, number>>,
  configs: Readonly<Record<string, string>> = {},
): Promise<void> {
  const admin = quietKafka(address).admin()
  t.teardown(() => admin.disconnect())
  await admin.connect()
  const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
  const specs = Object.entries(topics).map(([topic, numPartitions]) => ({
    topic,
    numPartitions,
    configEntries,
  }))
  await admin.createTopics({ topics: specs, waitForLeaders: false })
  const names = Object.keys(topics)
  const wanted = specs.reduce((sum, { numPartitions }) => sum + numPartitions, 0)
  await until('they have leaders', async () => {
    const found = await admin.fetchTopicMetadata({ topics: names }).catch(() => ({ topics: [] }))
    const partitions = found.topics.flatMap((topic) => topic.partitions)
    return partitions.filter(({ leader }) => leader >= 0).length === wanted
  })
  // A leader is named a moment before it takes anything: only what it answers tells that it does.
  await until('their leaders answer', async () => {
    const asked = Promise.all(names.map((topic) => admin.fetchTopicOffsets(topic)))
    return (await asked.catch(() => [])).flat().length === wanted
  })
}

/** A topic of a name of its own, with its id. */
export async function newTopic(
  t: Test,
  address: string,
  link: Link,
  partitions = 1,
): Promise<{ topic: string; id: string }> {
  const topic = ownName('clicks')
  await makeTopics(t, address, { [topic]: partitions })
  const { topics } = await link.ask(metadata([topic]))
  return { topic, id: topics[0]?.id ?? '' }
}

/** The brokers, over connections of their own. */
export function brokersOf(t: Test, address: string, config: Partial<KafkaConfig> = {}): Brokers {
  const brokers = new Brokers(quietKafka(address, config))
  t.teardown(() => brokers[Symbol.asyncDispose]())
  return brokers
}
