// A Goka group on Kafka is taken over as it is: what its producers wrote, where a plain consumer of its group has got to.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { testFolder } from '../test/support/folder.js'
import {
  clickAll,
  counterSource,
  expectedTotals,
  type GokaNames,
  handledAll,
  layoutOf,
  looped,
  partitions,
  placed,
  totalsIn,
} from '../test/support/goka.js'
import { HostUnderTest } from '../test/support/host.js'
import { makeTopics, quietKafka } from '../test/support/kafka/client.js'
import { brokerAddress, ownName } from '../test/support/kafka/shared.js'
import { until } from '../test/support/until.js'

const address = await brokerAddress(t)
const kafka = quietKafka(address)
const admin = kafka.admin()
await admin.connect()
t.teardown(() => admin.disconnect())

const namesOf = (): GokaNames => ({
  group: ownName('Clicks.Group_1'),
  clicks: ownName('user-clicks'),
  totals: ownName('click-totals'),
})

/** No headers, no transactions; its member stays until it is stopped. */
async function layOut(t: Test, names: GokaNames) {
  const { topics, records, positions } = layoutOf(names)
  for (const { name, kind, partitions } of topics) {
    const policy = { 'cleanup.policy': kind === 'table' ? 'compact' : 'delete' }
    await makeTopics(t, address, { [name]: partitions }, policy)
  }
  const producer = kafka.producer()
  t.teardown(() => producer.disconnect())
  await producer.connect()
  for (const { name } of topics) {
    const messages = records
      .filter(({ topic }) => topic === name)
      .map(({ key, value, partition }) => ({ key, value, partition }))
    await producer.send({ topic: name, messages, acks: -1 })
  }
  const consumer = kafka.consumer({ groupId: names.group })
  t.teardown(() => consumer.disconnect())
  let isMember = false
  consumer.on(consumer.events.GROUP_JOIN, () => {
    isMember = true
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [names.clicks, `${names.group}-loop`] })
  await consumer.run({ autoCommit: false, eachMessage: async () => {} })
  await until('it is a member', () => isMember)
  await consumer.commitOffsets(
    positions.map(({ topic, partition, offset }) => ({ topic, partition, offset: `${offset}` })),
  )
  return consumer
}

t.test(
  'goes on where the group was, once its members have left, and reads back what it wrote',
  async (t) => {
    const names = namesOf()
    const member = await layOut(t, names)
    const host = new HostUnderTest(testFolder(t), {
      functions: { 'click-count.ts': counterSource(names) },
      env: {
        MILLRACE_LOG_BROKERS: address,
        MILLRACE_LOG_PARTITIONS: String(partitions),
        MILLRACE_NAMESPACE: `${ownName('shop')}.`,
      },
    })
    t.teardown(() => host.stop())
    await host.start()
    const refused = await host.untilStatus(
      'click-count',
      ({ error }) => error?.code === 'BROKER_REFUSED',
    )
    t.match(refused.error, {
      code: 'BROKER_REFUSED',
      message: new RegExp(`the group ${names.group} .*another client.*millrace resume`),
    })
    await member.disconnect()
    const resumed = await fetch(`${host.host.url}/functions/click-count/resume`, { method: 'POST' })
    t.equal(resumed.status, 200)
    await handledAll(host, 'click-count')
    t.same(await totalsIn(host, 'click-count'), expectedTotals(), 'counted on, exactly')

    t.same(await clickAll(host), placed, 'emits are placed as Goka places them')
    await host.emitAll('clicks', [{ key: 'key1', value: 'key2' }])
    const one = { key1: 2n, 'some-key': 1n, 'user-3': 1n, '0': 1n, '02': 1n, 'key-4393643603': 1n }
    const expected = expectedTotals({ ...one, key2: 101n })
    await looped(host, 'click-count', 'key2', expected.key2)
    await handledAll(host, 'click-count')
    t.same(await totalsIn(host, 'click-count'), expected, 'and so are loops')

    await host.stop()
    rmSync(join(host.root, '.millrace'), { recursive: true })
    await host.start()
    await handledAll(host, 'click-count')
    t.same(await totalsIn(host, 'click-count'), expected, 'its own records and those of Goka')
    const [committed] = await admin.fetchOffsets({ groupId: names.group, topics: [names.clicks] })
    for (const { topic, partition, offset } of layoutOf(names).positions) {
      if (topic !== names.clicks) continue
      const now = committed?.partitions.find((at) => at.partition === partition)?.offset
      t.ok(Number(now) > offset, `the group has gone on from ${offset} in ${partition}`)
    }
  },
)
