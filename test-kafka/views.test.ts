// Views of tables that plain producers write on Kafka: what a view has while the broker is away, after it, and when the topic is another.
import { readFile } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { testFolder } from '../test/support/folder.js'
import { HostUnderTest } from '../test/support/host.js'
import { makeTopics, quietKafka } from '../test/support/kafka/client.js'
import { ownBroker, ownName } from '../test/support/kafka/shared.js'
import { until } from '../test/support/until.js'

const broker = await ownBroker(t)
const topic = ownName('shop.prices')
const compacted = { 'cleanup.policy': 'compact' }

const producer = quietKafka(broker.address).producer()
await producer.connect()
t.teardown(() => producer.disconnect())
const put = async (key: string, value: string | null, partition?: number, to = topic) =>
  void (await producer.send({
    topic: to,
    messages: [{ key, value, ...(partition === undefined ? {} : { partition }) }],
  }))

const view = (more: string) => `
import { defineView, json, string } from 'millrace'
export default defineView({ table: '${topic}', ${more} })`

const host = new HostUnderTest(testFolder(t), {
  functions: {
    'prices.ts': view('codec: json<number>()'),
    'example.ts': await readFile('examples/06-reconnecting-view/functions/prices.ts', 'utf8'),
    'orders.ts': `
import { defineProcessor, json, topicTable } from 'millrace'
export default defineProcessor({
  inputs: { orders: json<string>() },
  lookups: { prices: topicTable('${topic}', json<number>()) },
  table: json<number>(),
  on: { orders: (ctx, article) => ctx.set(ctx.lookup('prices', article) ?? -1) },
})`,
    'by-goka.ts': view("codec: string, hasher: 'fnv1a'"),
    'shown.ts': view(
      "codec: string, stored: json<string>(), update: (ctx, price) => ctx.set(price + ' from ' + (ctx.headers.shop ?? 'nowhere'))",
    ),
  },
  env: { MILLRACE_LOG_BROKERS: broker.address, MILLRACE_LOG_KAFKA_SESSION_TIMEOUT_MS: '6000' },
})
t.teardown(() => host.stop())

const stale = async (path: string) => {
  const response = await fetch(`${host.host.url}${path}`)
  return [response.status, response.headers.get('millrace-stale'), await response.text()]
}
/** Undefined: it has none. While it recovers it is neither. */
const untilRead = async (path: string, expected: unknown[]) =>
  await until(`${path} answers ${expected}`, async () =>
    isDeepStrictEqual(await stale(path), expected),
  )
const untilValue = async (table: string, key: string, value: unknown) =>
  await until(`${table} ${key} is ${value}`, async () => {
    const { status, body } = await host.get(`/views/${table}/${key}`)
    return value === undefined ? status === 404 : status === 200 && body === value
  })

t.test('a view waits for the topic, and has what plain producers write', async (t) => {
  await host.start()
  t.match(await host.status('prices'), { state: 'loading', error: { code: 'RECOVERING' } })
  await makeTopics(t, broker.address, { [topic]: 3, 'shop-table': 1 }, compacted)
  for (let n = 0; n < 20; n += 1) await put(`k${n}`, `${n}`)
  await put('lamp', '{"cents":1900}', 0, 'shop-table')
  await host.untilStatus('prices', 'running')
  await untilRead('/views/example/lamp', [200, null, '{"cents":1900}'])
  for (let n = 0; n < 20; n += 1) await untilValue('prices', `k${n}`, n)
  await put('k7', null)
  await untilValue('prices', 'k7', undefined)
  await producer.send({ topic, messages: [{ key: 'k8', value: '80', headers: { shop: 'north' } }] })
  await untilValue('shown', 'k8', '80 from north')
  t.equal(await host.view('shown', 'k7'), 'null from nowhere', 'the update has its own mind')
  // By its hash under fnv1a in the last of three partitions, with the sign that breaks Goka’s views.
  await put('key-4393643603', '"found"', 2)
  await untilValue('by-goka', 'key-4393643603', '"found"')
  const list = await host.get('/views/prices?prefix=k1&limit=3')
  t.match(list.body, { entries: [{ key: 'k1' }, { key: 'k10' }, { key: 'k11' }] })
})

t.test(
  'a view serves values while cut off, then catches up; it says so, and lookups do it, too',
  async (t) => {
    t.same(await stale('/views/prices/k1'), [200, null, '1'])
    await broker.kill()
    await until('it says so', async () => {
      const status = await host.status('prices')
      return status?.waitingFor.some((what) => what.includes('cut off'))
    })
    t.equal((await host.status('prices'))?.state, 'recovering')
    t.same(await stale('/views/prices/k1'), [200, 'true', '1'])
    t.match(await stale('/views/prices?prefix=k1&limit=1'), [200, 'true'])
    await untilRead('/views/example/lamp', [200, 'true', '{"cents":1900}'])
    await broker.restart()
    await put('k1', '100')
    await put('lamp', '{"cents":1800}', 0, 'shop-table')
    await untilRead('/views/prices/k1', [200, null, '100'])
    await host.untilStatus('prices', 'running')
    await untilRead('/views/example/lamp', [200, null, '{"cents":1800}'])
    await until('a lookup has it, too', async () => {
      const token = await host.emit('orders', 'ann', 'k1')
      return (await host.view('orders', 'ann', token)) === 100
    })
  },
)

t.test('a topic that has more partitions is read in all of them', async (t) => {
  await broker.tool('kafka-topics', ['--alter', '--topic', topic, '--partitions', '5'])
  await host.stop()
  await host.start()
  await host.untilStatus('prices', 'running')
  t.equal((await host.status('prices'))?.partitions.length, 5)
  await put('k9', '90', 4)
  await until('each partition is followed', async () => {
    const status = await host.status('prices')
    return status?.partitions.every(({ inputs }) => inputs.every(({ lag }) => lag === 0))
  })
})

t.test('a topic that is made anew with others is copied anew, without a hand', async (t) => {
  await broker.tool('kafka-topics', ['--delete', '--topic', topic])
  await until('it is gone', async () => (await host.get('/views/prices/k1')).status === 503)
  await makeTopics(t, broker.address, { [topic]: 2 }, compacted)
  await put('k1', '7')
  await untilValue('prices', 'k1', 7)
  t.equal(await host.view('prices', 'k2'), undefined, 'what the former topic had is gone')
  t.equal((await host.status('prices'))?.partitions.length, 2)
})
