// The embedded log moved to a live broker: exact, whenever it is killed, and a host goes on there as if nothing had happened.
import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { openKafkaLog } from '#host/log/kafka/log.js'
import { keepStreams } from '#host/log/kafka/retention.js'
import type { KafkaSettings } from '#host/log/kafka/settings.js'
import { kafkaWriteSettings } from '#host/log/kafka/write-settings.js'
import type { Log } from '#host/log/log.js'
import { contentOf, fill, move, sourceLog } from '../test/host/move/moving.js'
import { ownBroker } from '../test/support/kafka/shared.js'

// Its topics have the names that they have.
const broker = await ownBroker(t)

const settings: KafkaSettings = {
  brokers: [broker.address],
  clientId: `test-${randomUUID().slice(0, 8)}`,
  createTopics: true,
  replication: 1,
  retentionMs: -1,
  tombstoneRetentionMs: 86_400_000,
  connectionTimeoutMs: 1_000,
  group: { sessionTimeoutMs: 6_000, heartbeatMs: 200, rebalanceTimeoutMs: 10_000 },
  write: kafkaWriteSettings(),
}

function kafkaLog(t: Test): Log {
  const log = openKafkaLog(settings)
  t.teardown(() => log[Symbol.asyncDispose]())
  return log
}

t.test(
  'what is there is what was here, kept for as long, and Kafka’s tools see the groups',
  async (t) => {
    const source = await sourceLog(t)
    await fill(source)
    const target = kafkaLog(t)
    const retentionMs = 3_600_000
    const { result } = await move(source, target, {
      retentionMs,
      keep: (streams) => keepStreams(settings, streams),
    })
    t.strictSame(await contentOf(target), await contentOf(source))
    t.strictSame(result.forever, [])
    const configs = await broker.tool('kafka-configs', ['--describe', '--topic', 'clicks'])
    t.match(configs, new RegExp(`retention.ms=${retentionMs} `))
    t.match(configs, /max.message.bytes=8392704/, 'what else was set stays')
    const groups = await broker.tool('kafka-consumer-groups', ['--describe', '--group', 'count'])
    t.match(groups, /clicks +2 +(\d+) /)
    t.ok((await move(source, target)).result.before)
  },
)
t.end()
