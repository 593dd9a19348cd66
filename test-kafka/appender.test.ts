import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { HostError } from '#host/errors.js'
import { KafkaAppender } from '#host/log/kafka/appender.js'
import type { Brokers } from '#host/log/kafka/brokers.js'
import type { KafkaWriteSettings } from '#host/log/kafka/write-settings.js'
import type { RecordToAppend } from '#host/log/log.js'
import { brokersOf, makeTopics, quietKafka } from '../test/support/kafka/client.js'
import { committedRecords, committedValues, difference } from '../test/support/kafka/committed.js'
import { proxyTo } from '../test/support/kafka/proxy.js'
import { kafkaLog } from '../test/support/kafka/secure.js'
import { brokerAddress, ownBroker, ownName } from '../test/support/kafka/shared.js'
import { runTool } from '../test/support/kafka/tool.js'
import { until } from '../test/support/until.js'

const address = await brokerAddress(t)
const brokers = brokersOf(t, address)

const record = (topic: string, value: string | Buffer, partition = 0): RecordToAppend => ({
  topic,
  partition,
  key: null,
  value: typeof value === 'string' ? Buffer.from(value) : value,
  timestamp: Date.now(),
})

async function newTopic(t: Test, at = address): Promise<string> {
  const topic = ownName('clicks')
  await makeTopics(t, at, { [topic]: 4 })
  return topic
}

function appenderOf(
  t: Test,
  way: Brokers = brokers,
  settings: Partial<KafkaWriteSettings> = {},
  name = ownName('host'),
): KafkaAppender {
  const appender = new KafkaAppender(way, { name, settings })
  t.teardown(() => appender.close())
  return appender
}

const count = (n: number): string[] => Array.from({ length: n }, (_, i) => `${i}`)

t.test('each record is at the offset that is returned for it', async (t) => {
  const topic = await newTopic(t)
  const appender = appenderOf(t, brokers, { maxBatchBytes: 2_000 })
  t.strictSame(await appender.append([]), [])
  const sent = count(1_000).map((value, i) => record(topic, value, i % 4))
  const offsets = [
    ...(await appender.append(sent.slice(0, 10))),
    ...(await appender.append(sent.slice(10, 500))),
    ...(await appender.append(sent.slice(500), { atomic: true })),
  ]
  for (const partition of [0, 1, 2, 3]) {
    const found = await committedRecords(brokers, topic, partition)
    const byOffset = new Map(found.map((one) => [one.offset, one.valueText()]))
    t.equal(byOffset.size, 250)
    sent.forEach((one, i) => {
      if (one.partition === partition) {
        if (byOffset.get(offsets[i] ?? -1) !== `${i}`) t.fail(`${i} is not at its offset`)
      }
    })
    t.strictSame(
      found.map((one) => one.valueText()),
      sent.filter((one) => one.partition === partition).map(({ value }) => value?.toString()),
    )
  }
})

t.test('calls that are not awaited keep their order, and share batches', async (t) => {
  const topic = await newTopic(t)
  const proxy = await proxyTo(t, address)
  const appender = appenderOf(t, brokersOf(t, address, proxy.config))
  await appender.append([record(topic, 'first')])
  const before = proxy.seen.filter((api) => api === 'Produce').length
  const appends = count(5_000).map(async (value, i) =>
    appender.append([record(topic, value), record(topic, value)], { atomic: i % 3 === 0 }),
  )
  const offsets = (await Promise.all(appends)).flat()
  t.strictSame(
    offsets,
    Array.from({ length: 10_000 }, (_, i) => i + 1),
  )
  t.strictSame(
    (await committedValues(brokers, topic)).slice(1),
    count(5_000).flatMap((one) => [one, one]),
  )
  const requests = proxy.seen.filter((api) => api === 'Produce').length - before
  t.ok(requests < 50, `${requests} requests`)
})

t.test('100,000 emits have monotonic offsets', async (t) => {
  const topic = await newTopic(t)
  const log = kafkaLog(t, address)
  const partitions = [0, 1, 2, 3]
  const sent = partitions.map((): string[] => [])
  const last = partitions.map(() => -1)
  const back: string[] = []
  // Some thousands are on their way at a time, as from a host's clients.
  for (let from = 0; from < 100_000; from += 5_000) {
    const emits = count(5_000).map(async (n) => {
      const value = `${from + Number(n)}`
      const partition = Number(value) % 4
      sent[partition]?.push(value)
      const [offset = -1] = await log.append([record(topic, value, partition)])
      if (offset <= (last[partition] ?? -1)) back.push(`${value} at ${offset}`)
      last[partition] = offset
    })
    await Promise.all(emits)
  }
  t.strictSame(back, [])
  t.strictSame(last, [24_999, 24_999, 24_999, 24_999])
  for (const partition of partitions) {
    const found = await committedValues(brokers, topic, partition)
    t.equal(difference(found, sent[partition] ?? []), undefined, 'and records in their order')
  }
})

t.test('what comes while a batch is on its way goes together behind it', async (t) => {
  const topic = await newTopic(t)
  const proxy = await proxyTo(t, address)
  const appender = appenderOf(t, brokersOf(t, address, proxy.config))
  await appender.append([record(topic, 'first')])
  const produced = () => proxy.seen.filter((api) => api === 'Produce').length
  const before = produced()
  const held = proxy.lose('Produce', 'hold')
  const appends = [appender.append([record(topic, 'held')])]
  await held.happened
  for (const value of count(20)) {
    appends.push(appender.append([record(topic, value)]))
    await new Promise((resolve) => setImmediate(resolve))
  }
  held.release()
  await Promise.all(appends)
  t.equal(produced() - before, 2)
  t.strictSame(await committedValues(brokers, topic), ['first', 'held', ...count(20)])
})

t.test('batches that are in flight together keep their order', async (t) => {
  const topic = await newTopic(t)
  const appender = appenderOf(t)
  const sent = Array.from({ length: 30 }, (_, call) =>
    Array.from({ length: 2_000 }, (_, i) => `${call * 2_000 + i}`),
  )
  const appends = sent.map(async (values) =>
    appender.append(values.map((value, i) => record(topic, value, i % 2))),
  )
  await Promise.all(appends)
  for (const partition of [0, 1]) {
    const expected = sent.flat().filter((_, i) => i % 2 === partition)
    t.equal(difference(await committedValues(brokers, topic, partition), expected), undefined)
  }
})

for (const loss of ['request', 'answer'] as const) {
  t.test(`what is appended is there once and in order when a ${loss} is lost`, async (t) => {
    const topic = await newTopic(t)
    const proxy = await proxyTo(t, address)
    const appender = appenderOf(t, brokersOf(t, address, proxy.config))
    await appender.append([record(topic, 'first')])
    const appends: Promise<readonly number[]>[] = []
    for (let call = 0; call < 60; call++) {
      if (call % 10 === 5) proxy.lose('Produce', loss)
      const values = Array.from({ length: 1_500 }, (_, i) => `${call * 1_500 + i}`)
      appends.push(appender.append(values.map((value) => record(topic, value.padStart(20, '.')))))
      if (call % 3 === 0) await appends.at(-1)
    }
    const offsets = (await Promise.all(appends)).flat()
    const expected = count(90_000)
    t.equal(
      difference(
        offsets.map((offset) => `${offset - 1}`),
        expected,
      ),
      undefined,
    )
    const found = (await committedValues(brokers, topic)).slice(1)
    t.equal(
      difference(
        found,
        expected.map((value) => value.padStart(20, '.')),
      ),
      undefined,
    )
  })
}

t.test('an atomic append over partitions is there wholly, or not at all', async (t) => {
  const topic = await newTopic(t)
  const appender = appenderOf(t)
  const all = [0, 1, 2, 3].map((partition) => record(topic, 'good', partition))
  const missing = record(ownName('missing'), 'x')
  const unknown = { code: 'UNKNOWN_TOPIC' }
  await t.rejects(appender.append([...all, missing], { atomic: true }), unknown)
  await t.rejects(appender.append([...all, record(topic, 'x', 9)], { atomic: true }), unknown)
  const huge = record(topic, randomBytes(2_000_000), 1)
  const tooLarge = { code: 'RECORD_TOO_LARGE', stream: topic }
  await t.rejects(appender.append([...all, huge], { atomic: true }), tooLarge)
  const odd = record(topic, Buffer.alloc(64 * 2 ** 20), 1)
  await t.rejects(appender.append([...all, odd]), tooLarge)
  for (const partition of [0, 1, 2, 3]) {
    t.strictSame(await committedValues(brokers, topic, partition), [])
  }
  await Promise.all(
    count(40).map(async (value) => {
      const offsets = await appender.append(
        [0, 1, 2, 3].map((partition) => record(topic, value, partition)),
        { atomic: true },
      )
      t.equal(offsets.length, 4)
    }),
  )
  for (const partition of [0, 1, 2, 3]) {
    const found = await committedValues(brokers, topic, partition)
    t.strictSame([...found].sort(), count(40).sort())
  }
})

t.test('logs of the same settings do not end each other’s atomic appends', async (t) => {
  const topic = await newTopic(t)
  const clientId = ownName('host')
  const both = ['a', 'b'].map((name) => ({ name, log: kafkaLog(t, address, { clientId }) }))
  const rounds = 20
  await Promise.all(
    both.map(async ({ name, log }) => {
      for (const value of count(rounds)) {
        const records = [0, 1].map((partition) => record(topic, `${name}${value}`, partition))
        await log.append(records, { atomic: true })
      }
    }),
  )
  const [{ log } = {}] = both
  const { partitions = [] } = (await log?.describe([topic]))?.get(topic) ?? {}
  // The record and the marker of each: what was given up and written anew would show.
  t.same(
    partitions.map(({ stableEnd }) => stableEnd),
    [4 * rounds, 4 * rounds, 0, 0],
  )
})

t.test('what a host has left open when it died is ended when it comes back', async (t) => {
  const topic = await newTopic(t)
  const proxy = await proxyTo(t, address)
  const settings = { transactionTimeoutMs: 600_000 }
  const name = ownName('host')
  const gone = brokersOf(t, address, proxy.config)
  const dead = new KafkaAppender(gone, { name, settings })
  const both = [0, 1].map((partition) => record(topic, 'open', partition))
  const { happened } = proxy.lose('EndTxn', 'hold')
  dead.append(both, { atomic: true }).catch(() => {})
  await happened
  await gone[Symbol.asyncDispose]()
  const appender = appenderOf(t, brokers, {}, name)
  appender.takeOver()
  await appender.append([record(topic, 'x'), record(topic, 'y', 1)])
  const log = kafkaLog(t, address)
  await until('nothing is open', async () => {
    const { partitions = [] } = (await log.describe([topic])).get(topic) ?? {}
    return partitions.every(({ stableEnd, end }) => stableEnd === end)
  })
  t.strictSame(await committedValues(brokers, topic), ['x'])
  t.strictSame(await committedValues(brokers, topic, 1), ['y'])
  t.ok(await appender.append(both, { atomic: true }))
})

t.test('an atomic append of several batches to one partition is whole', async (t) => {
  const topic = await newTopic(t)
  const appender = appenderOf(t, brokers, { maxBatchBytes: 4_000, compression: 'none' })
  const sent = count(1_000)
  await appender.append(
    sent.map((value) => record(topic, value)),
    { atomic: true },
  )
  const found = await committedRecords(brokers, topic)
  t.strictSame(
    found.map((one) => one.valueText()),
    sent,
  )
  // By a transaction: its marker lies behind.
  const [next] = await appender.append([record(topic, 'next')])
  t.ok((next ?? 0) > (found.at(-1)?.offset ?? Number.NaN) + 1)
})

t.test('an atomic append whose answer is lost is there once, or says that it may be', async (t) => {
  const topic = await newTopic(t)
  const proxy = await proxyTo(t, address)
  const appender = appenderOf(t, brokersOf(t, address, proxy.config))
  const both = (value: string) => [record(topic, value, 0), record(topic, value, 1)]
  proxy.lose('Produce', 'answer')
  await appender.append(both('a'), { atomic: true })
  proxy.lose('EndTxn', 'answer')
  await t.rejects(appender.append(both('b'), { atomic: true }), {
    code: 'BROKER_UNAVAILABLE',
    message: /perhaps written/,
  })
  await appender.append(both('c'), { atomic: true })
  for (const partition of [0, 1]) {
    t.strictSame(await committedValues(brokers, topic, partition), ['a', 'b', 'c'])
  }
})

t.test('what is too large for the topic fails alone, and smaller batches are made', async (t) => {
  const topic = await newTopic(t)
  await runTool(address, 'kafka-configs', [
    ...['--alter', '--entity-type', 'topics', '--entity-name', topic],
    ...['--add-config', 'max.message.bytes=4000'],
  ])
  const appender = appenderOf(t, brokers, { compression: 'none' })
  const tooLarge = t.rejects(appender.append([record(topic, 'x'.repeat(5_000))]), {
    code: 'RECORD_TOO_LARGE',
    message: /max\.message\.bytes/,
    stream: topic,
  })
  await tooLarge
  const calls = count(300).map(async (value, i) =>
    appender.append([record(topic, value.padStart(50, '.')), record(topic, value)], {
      atomic: i % 2 === 0,
    }),
  )
  await Promise.all(calls)
  const sent = count(300).flatMap((value) => [value.padStart(50, '.'), value])
  t.strictSame(await committedValues(brokers, topic), sent)
  // Does not fit into a batch of this topic any more: a transaction takes it.
  const many = count(200).map((value) => record(topic, value.padStart(50, '.')))
  t.equal((await appender.append(many, { atomic: true })).length, 200)
  t.equal((await committedValues(brokers, topic)).length, 800)
})

t.test('more than may wait is refused at once', async (t) => {
  const topic = await newTopic(t)
  const proxy = await proxyTo(t, address)
  const appender = appenderOf(t, brokersOf(t, address, proxy.config), { maxQueuedBytes: 10_000 })
  await appender.append([record(topic, 'first')])
  const held = proxy.lose('Produce', 'hold')
  const first = appender.append([record(topic, 'x'.repeat(6_000))])
  await held.happened
  await t.rejects(appender.append([record(topic, 'y'.repeat(6_000))]), {
    code: 'OVERLOADED',
    retryable: true,
  })
  held.release()
  await first
  await appender.append([record(topic, 'z'.repeat(20_000))])
  t.strictSame(
    (await committedValues(brokers, topic)).map((value) => value[0]),
    ['f', 'x', 'z'],
  )
})

t.test('without a broker it says in time whether something is perhaps written', async (t) => {
  const topic = await newTopic(t)
  const proxy = await proxyTo(t, address)
  const settings = { deadlineMs: 3_000, requestTimeoutMs: 2_000 }
  const appender = appenderOf(t, brokersOf(t, address, proxy.config), settings)
  await appender.append([record(topic, 'first')])
  proxy.lose('Produce', 'silence', 1)
  proxy.lose('Produce', 'request', 1_000)
  const sent = appender.append([record(topic, 'sent')])
  const waiting = appender.append([record(topic, 'sent with it')])
  await until('it is sent', () => proxy.seen.filter((api) => api === 'Produce').length === 2)
  const later = appender.append([record(topic, 'gathered')])
  const unavailable = { code: 'BROKER_UNAVAILABLE', retryable: true }
  await Promise.all([
    t.rejects(sent, { ...unavailable, message: /perhaps written/ }),
    t.rejects(waiting, { ...unavailable, message: /perhaps written/ }),
    t.rejects(later, { ...unavailable, message: /nothing was written/ }),
  ])
  proxy.heal()
  await until('it goes on', async () =>
    appender.append([record(topic, 'last')]).then(
      () => true,
      () => false,
    ),
  )
  t.strictSame(await committedValues(brokers, topic), ['first', 'sent', 'sent with it', 'last'])
})

t.test('what nobody waits for any more does not come behind what was sent after it', async (t) => {
  const topic = await newTopic(t)
  const proxy = await proxyTo(t, address)
  const settings = { deadlineMs: 1_500, requestTimeoutMs: 400 }
  const appender = appenderOf(t, brokersOf(t, address, proxy.config), settings)
  await appender.append([record(topic, 'first')])
  const late = proxy.lose('Produce', 'late')
  proxy.lose('Produce', 'request', 1_000)
  await t.rejects(appender.append([record(topic, 'old')]), { message: /perhaps written/ })
  await late.happened
  proxy.heal()
  await until('it is sent again', async () =>
    appender.append([record(topic, 'old')]).then(
      () => true,
      () => false,
    ),
  )
  await appender.append([record(topic, 'new')])
  late.release()
  await late.arrived
  t.strictSame(await committedValues(brokers, topic), ['first', 'old', 'new'])
})

t.test(
  'a partition that is not found for a moment is not begun anew with old numbers',
  async (t) => {
    const topic = await newTopic(t)
    const proxy = await proxyTo(t, address)
    const way = brokersOf(t, address, proxy.config)
    const appender = appenderOf(t, way)
    for (const value of ['one', 'two']) await appender.append([record(topic, value)])
    // As a broker that has not heard of the topic yet says it when the leader is looked up.
    const leader = way.leader.bind(way)
    way.leader = async () => {
      throw new HostError('UNKNOWN_TOPIC', 'there is none')
    }
    proxy.lose('Produce', 'request')
    await t.rejects(appender.append([record(topic, 'three')]), { code: 'UNKNOWN_TOPIC' })
    way.leader = leader
    t.strictSame(await appender.append([record(topic, 'four')]), [2])
    t.strictSame(await committedValues(brokers, topic), ['one', 'two', 'four'])
  },
)

t.test('while a partition lacks replicas nothing is written, and it goes on later', async (t) => {
  const topic = await newTopic(t)
  const proxy = await proxyTo(t, address)
  const appender = appenderOf(t, brokersOf(t, address, proxy.config), { deadlineMs: 3_000 })
  proxy.lose('Produce', 'refuse', 3)
  await appender.append([record(topic, 'first')])
  proxy.lose('Produce', 'refuse', 1_000)
  const expired = appender.append([record(topic, 'expired')])
  await t.rejects(expired, {
    code: 'BROKER_UNAVAILABLE',
    retryable: true,
    message:
      /fewer copies are in sync than min.insync.replicas .* nothing was written: send it again/,
  })
  proxy.heal()
  await appender.append([record(topic, 'last')])
  t.strictSame(await committedValues(brokers, topic), ['first', 'last'])
})

t.test('a topic that does not exist is told, also when it is deleted later', async (t) => {
  const topic = await newTopic(t)
  const appender = appenderOf(t)
  await t.rejects(appender.append([record(ownName('missing'), 'x')]), { code: 'UNKNOWN_TOPIC' })
  await appender.append([record(topic, 'a')])
  const admin = quietKafka(address).admin()
  t.teardown(() => admin.disconnect())
  await admin.connect()
  await admin.deleteTopics({ topics: [topic] })
  await until('it is gone', async () => !(await brokers.topicIds()).has(topic))
  await t.rejects(appender.append([record(topic, 'b')]), { code: 'UNKNOWN_TOPIC' })
  await makeTopics(t, address, { [topic]: 4 })
  t.strictSame(await appender.append([record(topic, 'c')]), [0])
})

t.test('closed, it takes nothing more, and what was on its way has ended', async (t) => {
  const topic = await newTopic(t)
  const way = brokersOf(t, address)
  const appender = appenderOf(t, way)
  await appender.append([record(topic, 'a')])
  const appends = count(50).map(async (value) =>
    appender.append([record(topic, value)]).then(
      () => 'kept',
      (error: { code: string }) => error.code,
    ),
  )
  await appender.close()
  await appender.close()
  for (const end of await Promise.all(appends)) t.match(end, /kept|LOG_CLOSED/)
  await t.rejects(appender.append([record(topic, 'x')]), { code: 'LOG_CLOSED' })
})

t.test('through the death of the broker every record is there once, in order', async (t) => {
  const broker = await ownBroker(t)
  const topic = await newTopic(t, broker.address)
  const own = brokersOf(t, broker.address)
  const appender = appenderOf(t, own, { deadlineMs: 60_000 })
  const total = 60_000
  const size = 200
  let done = 0
  const send = async (from: number): Promise<void> => {
    const values = Array.from({ length: size }, (_, i) => `${from + i}`)
    await appender.append(values.map((value) => record(topic, value)))
    done += size
  }
  const writing = (async () => {
    const inFlight = new Set<Promise<void>>()
    for (let at = 0; at < total; at += size) {
      const sending: Promise<void> = send(at).finally(() => inFlight.delete(sending))
      inFlight.add(sending)
      if (inFlight.size >= 20) await Promise.race(inFlight)
    }
    await Promise.all(inFlight)
  })()
  for (const part of [0.3, 0.6]) {
    await until('it is on its way', () => done >= total * part)
    await broker.kill()
    await broker.restart()
  }
  await writing
  const found = await committedValues(own, topic)
  t.equal(difference(found, count(total)), undefined, 'none missing, twice or out of order')
})

// The brokers of all tests are connected, so the process would not end by itself.
t.end()
