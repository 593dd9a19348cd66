import t from 'tap'
import { quietKafka } from '../test/support/kafka/client.js'
import { brokerAddress, ownBroker, ownName } from '../test/support/kafka/shared.js'
import { runTool } from '../test/support/kafka/tool.js'

t.test('answers a client, and does not create what nobody asked for', async (t) => {
  const admin = quietKafka(await brokerAddress(t)).admin()
  await admin.connect()
  t.teardown(() => admin.disconnect())
  const topic = ownName('clicks')
  await admin.createTopics({ topics: [{ topic, numPartitions: 3 }], waitForLeaders: true })
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
  t.match(topics, [{ name: topic, partitions: [{}, {}, {}] }])
  await t.rejects(
    admin.fetchTopicMetadata({ topics: [ownName('missing')] }),
    /does not host this topic-partition/,
  )
})

t.test('is seen alike by Kafka’s own tools, and after a kill', async (t) => {
  const broker = await ownBroker(t)
  const kafka = quietKafka(broker.address)
  const topic = ownName('clicks')
  await broker.tool('kafka-topics', ['--create', '--topic', topic, '--partitions', '2'])
  const producer = kafka.producer()
  await producer.connect()
  t.teardown(() => producer.disconnect())
  await producer.send({ topic, messages: [{ key: 'alice', value: 'before', partition: 1 }] })
  const { address } = broker

  await broker.kill()
  await broker.restart()

  t.equal(broker.address, address)
  await producer.send({ topic, messages: [{ key: 'alice', value: 'after', partition: 1 }] })
  const read = ['--topic', topic, '--partition', '1', '--offset', 'earliest', '--max-messages', '2']
  t.equal(await broker.tool('kafka-console-consumer', read), 'before\nafter\n')
  t.match(await broker.tool('kafka-topics', ['--describe', '--topic', topic]), 'PartitionCount: 2')
})

t.test('has tools that read what they are given, and tell what was refused', async (t) => {
  const address = await brokerAddress(t)
  const topic = ownName('clicks')
  await t.rejects(
    runTool(address, 'kafka-topics', ['--describe', '--topic', topic]),
    /TopicCommand .*ended with code 1[\s\S]*Topic 'clicks-.*' does not exist/,
  )
  await runTool(address, 'kafka-topics', ['--create', '--topic', topic])
  await runTool(address, 'kafka-console-producer', ['--topic', topic], { input: 'one\ntwo\n' })
  const offsets = await runTool(address, 'kafka-get-offsets', ['--topic', topic])
  t.equal(offsets, `${topic}:0:2\n`)
})

t.test('has further listeners, with a configuration of their own', async (t) => {
  const login = 'org.apache.kafka.common.security.plain.PlainLoginModule'
  const broker = await ownBroker(t, {
    listeners: { LOGIN: 'SASL_PLAINTEXT' },
    properties: {
      'listener.name.login.sasl.enabled.mechanisms': 'PLAIN',
      'listener.name.login.plain.sasl.jaas.config': `${login} required user_alice="secret";`,
    },
  })
  const as = (password: string) =>
    quietKafka(broker.listener('LOGIN'), {
      sasl: { mechanism: 'plain', username: 'alice', password },
      retry: { retries: 0 },
    }).admin()
  const admin = as('secret')
  t.teardown(() => admin.disconnect())
  await admin.connect()
  t.strictSame(await admin.listTopics(), [])
  const stranger = as('guess')
  t.teardown(() => stranger.disconnect())
  await t.rejects(stranger.connect(), /Authentication failed|authentication/i)
  t.throws(() => broker.listener('TLS'), TypeError)
})
