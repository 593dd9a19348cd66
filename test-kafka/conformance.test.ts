// The log on Kafka does what every log does.
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { openKafkaLog } from '#host/log/kafka/log.js'
import { kafkaWriteSettings } from '#host/log/kafka/write-settings.js'
import { logConformance } from '../test/host/log/conformance.js'
import { brokerAddress } from '../test/support/kafka/shared.js'

const address = await brokerAddress(t)

logConformance(t, 'kafka', async (t) => {
  const log = openKafkaLog({
    brokers: [address],
    clientId: `test-${randomUUID().slice(0, 8)}`,
    createTopics: true,
    replication: 1,
    // Tests write records of long ago.
    retentionMs: -1,
    tombstoneRetentionMs: 86_400_000,
    connectionTimeoutMs: 1_000,
    group: {
      sessionTimeoutMs: 6_000,
      heartbeatMs: 200,
      rebalanceTimeoutMs: 10_000,
      metadataIntervalMs: 30_000,
    },
    write: kafkaWriteSettings(),
  })
  t.teardown(() => log[Symbol.asyncDispose]())
  return { log }
})
t.end()
