import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { pipeline } from 'node:stream'
import t, { type Test } from 'tap'
import { asBrokerError } from '#host/log/kafka/connecting.js'
import { Link } from '#host/log/kafka/link.js'
import { listOffsets, offsetAt } from '#host/log/kafka/requests/list-offsets.js'
import { metadata } from '#host/log/kafka/requests/metadata.js'
import { linkTo } from '../test/support/kafka/client.js'
import { brokerAddress } from '../test/support/kafka/shared.js'
import { until } from '../test/support/until.js'

const address = await brokerAddress(t)

/** A link whose connections can be cut, as by a network. */
async function cuttable(t: Test) {
  const [host = '', port] = address.split(':')
  const sockets: Socket[] = []
  const proxy = createServer((inner) => {
    const outer = connect(Number(port), host)
    pipeline(inner, outer, inner, () => {})
    sockets.push(inner)
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => proxy.close())
  const listening = proxy.address()
  if (listening === null || typeof listening === 'string') throw new Error('not a port')
  const found = await linkTo(t, address, {
    socketFactory: ({ onConnect }) => connect(listening.port, '127.0.0.1', onConnect),
  })
  return {
    ...found,
    opened: () => sockets.length,
    cut() {
      for (const socket of sockets) socket.destroy()
    },
  }
}

t.test('requests that find no connection open one, and one only', async (t) => {
  const { link, broker, opened, cut } = await cuttable(t)
  await link.ask(metadata([]))
  const before = opened()
  cut()
  await until('it is known', () => !broker.isConnected())
  const answers = await Promise.all([1, 2, 3, 4].map(() => link.ask(metadata([]))))
  t.match(answers, [{ clusterId: String }, {}, {}, {}])
  t.equal(opened(), before + 1)
})

t.test(
  'a request that waits fails when the connection is cut, and the next one is answered',
  async (t) => {
    const { link, broker, cut } = await cuttable(t)
    const waiting = Promise.all([1, 2].map(() => link.ask(metadata(null))))
    cut()
    await t.rejects(waiting, { name: /^KafkaJSConnection/, message: String })
    await until('it is known', () => !broker.isConnected())
    t.match(await link.ask(metadata([])), { clusterId: String })
  },
)

t.test('what the broker does not know is refused, and nothing is sent', async (t) => {
  const { link, opened } = await cuttable(t)
  await link.ask(metadata([]))
  const before = opened()
  const future = { ...metadata([]), apiVersion: 99 }
  const unknown = { ...metadata([]), apiKey: 999 }
  await t.rejects(link.ask(future), {
    code: 'BROKER_UNSUPPORTED',
    message: /^Metadata version 99 is needed, and the broker 127.0.0.1:\d+ knows versions 0 to \d+/,
  })
  await t.rejects(link.ask(unknown), { code: 'BROKER_UNSUPPORTED', message: /does not know it/ })
  t.match(await link.ask(metadata([])), { clusterId: String })
  t.equal(opened(), before, 'by the connection that it has')
})

t.test('an answer that cannot be read fails its request alone', async (t) => {
  const { link } = await cuttable(t)
  const misread = {
    ...listOffsets([{ topic: 'missing', partition: 0, time: offsetAt.latest }]),
    decode(): never {
      throw new RangeError('misread')
    },
  }
  const [refused, answered] = await Promise.allSettled([link.ask(misread), link.ask(metadata([]))])
  t.match(refused, { status: 'rejected', reason: { message: 'misread' } })
  t.match(answered, { status: 'fulfilled', value: { clusterId: String } })
})

t.test('a connection without requests leaves the event loop at rest', async (t) => {
  const { link, broker } = await cuttable(t)
  await link.ask(metadata([]))
  const { connectionPool } = broker as unknown as {
    connectionPool: { pool: { requestQueue: { throttleCheckTimeoutId: unknown } }[] }
  }
  await until('the timer of before is over', () =>
    connectionPool.pool.every(({ requestQueue }) => requestQueue.throttleCheckTimeoutId === null),
  )
  await link.ask(metadata([]))
  t.match(
    connectionPool.pool.map(({ requestQueue }) => requestQueue.throttleCheckTimeoutId),
    [null, null],
  )
})

t.test('only a broker of kafkajs is taken', (t) => {
  t.throws(() => Reflect.construct(Link, [{}]), TypeError)
  t.end()
})

t.test('a connection that somebody else is just making may be asked later', async (t) => {
  const { broker } = await linkTo(t, address)
  const link = new Link(Object.assign(broker, { versions: null }))
  await t.rejects(link.ask(metadata([])), { code: 'BROKER_UNAVAILABLE', retryable: true })
  // Thrown by kafkajs as no error of its own.
  t.match(asBrokerError(new Error('Broker not connected')), { code: 'BROKER_UNAVAILABLE' })
  const defect = new TypeError('something else')
  t.equal(asBrokerError(defect), defect)
})
