// Apache Kafka under the hosts of a crash test: topics and groups of their own, and times that notice a death soon.
import type { Test } from 'tap'
import { loadConfig } from '#host/config.js'
import { openKafkaLog } from '#host/log/kafka/log.js'
import { kafkaSettings } from '#host/open-log.js'
import type { ProjectLog } from '../../test/host/crash/project-log.js'
import { brokerAddress, ownName } from '../../test/support/kafka/shared.js'

export async function kafkaLog(t: Test): Promise<ProjectLog> {
  const namespace = `${ownName('crash')}-`
  const env = {
    MILLRACE_LOG_BROKERS: await brokerAddress(t),
    MILLRACE_NAMESPACE: namespace,
    // Who comes after one that was killed waits until its groups have missed that, and until what it left open is given up.
    MILLRACE_LOG_KAFKA_SESSION_TIMEOUT_MS: '2000',
    MILLRACE_LOG_KAFKA_HEARTBEAT_INTERVAL_MS: '200',
    MILLRACE_LOG_KAFKA_TRANSACTION_TIMEOUT_MS: '2000',
  }
  const settings = kafkaSettings(loadConfig({ root: '.', env }))
  return {
    kind: 'kafka',
    env,
    namespace,
    open: async () => openKafkaLog(settings),
  }
}
