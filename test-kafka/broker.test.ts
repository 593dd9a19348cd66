import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { SASLOptions } from 'kafkajs'
import t from 'tap'
import { testFolder } from '../test/support/folder.js'
import { makeTopics, quietKafka } from '../test/support/kafka/client.js'
import { isFree } from '../test/support/kafka/ports.js'
import { brokerAddress, ownBroker, ownName } from '../test/support/kafka/shared.js'
import { runTool } from '../test/support/kafka/tool.js'
import { until } from '../test/support/until.js'

const serve = 'dist/test/support/kafka/serve.js'

t.test('answers a client, and does not create what nobody asked for', async (t) => {
  const address = await brokerAddress(t)
  const admin = quietKafka(address).admin()
  await admin.connect()
  t.teardown(() => admin.disconnect())
  const topic = ownName('clicks')
  await makeTopics(t, address, { [topic]: 3 })
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

t.test('has further listeners, users and permissions when it is told to', async (t) => {
  const modules = 'org.apache.kafka.common.security'
  const broker = await ownBroker(t, {
    listeners: { PLAIN: 'SASL_PLAINTEXT', SCRAM: 'SASL_PLAINTEXT' },
    format: ['--add-scram', 'SCRAM-SHA-256=[name=bob,password=secret]'],
    properties: {
      'listener.name.plain.sasl.enabled.mechanisms': 'PLAIN',
      'listener.name.plain.plain.sasl.jaas.config': `${modules}.plain.PlainLoginModule required user_alice="secret";`,
      'listener.name.scram.sasl.enabled.mechanisms': 'SCRAM-SHA-256',
      'listener.name.scram.scram-sha-256.sasl.jaas.config': `${modules}.scram.ScramLoginModule required;`,
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      // Whoever comes by the listener without authentication: the broker itself, tools and tests.
      'super.users': 'User:ANONYMOUS',
    },
  })
  const seenBy = async (listener: string, sasl: SASLOptions) => {
    const admin = quietKafka(broker.listener(listener), { sasl }).admin()
    t.teardown(() => admin.disconnect())
    await admin.connect()
    return admin.listTopics()
  }
  const topic = ownName('clicks')
  await broker.tool('kafka-topics', ['--create', '--topic', topic])
  const alice = { mechanism: 'plain', username: 'alice', password: 'secret' } as const
  const bob = { mechanism: 'scram-sha-256', username: 'bob', password: 'secret' } as const
  t.strictSame(await seenBy('PLAIN', alice), [], 'she may see nothing')
  t.strictSame(await seenBy('SCRAM', bob), [])
  const allow = ['--add', '--topic', topic, '--allow-principal', 'User:alice']
  await broker.tool('kafka-acls', [...allow, '--operation', 'Describe'])
  t.strictSame(await seenBy('PLAIN', alice), [topic])
  t.strictSame(await seenBy('SCRAM', bob), [])
  t.throws(() => broker.listener('TLS'), TypeError)
})

t.test('goes with the process that started it, however that ends', async (t) => {
  const owner = spawn(process.execPath, [serve, '--port', '0', '--data', testFolder(t)])
  t.teardown(() => owner.kill('SIGKILL'))
  const [line]: string[] = await once(createInterface({ input: owner.stdout }), 'line')
  const [, port = ''] = /serves at 127\.0\.0\.1:(\d+)$/.exec(line ?? '') ?? []
  t.notOk(await isFree(Number(port)))
  owner.kill('SIGKILL')
  await until('nobody listens any more', () => isFree(Number(port)))
})

t.test('a Java that is missing is told, and how to get one', async (t) => {
  const without = spawn(process.execPath, [serve], { env: { JAVA_HOME: '/nowhere' } })
  let said = ''
  without.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  t.strictSame(await once(without, 'close'), [69, null])
  t.match(said, /needs Java 17 or newer; \/nowhere\/bin\/java was not found\.\n.*apt-get install/)
  t.match(said, 'docker compose up')
})
