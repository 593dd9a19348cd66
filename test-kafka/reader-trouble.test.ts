// The reader of the Kafka log when its broker, its connections or its records go.
import { open, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { encodeBatches } from '#host/log/kafka/encoding.js'
import { testFolder } from '../test/support/folder.js'
import { batchOf } from '../test/support/kafka/batch.js'
import { linkTo, makeTopics } from '../test/support/kafka/client.js'
import { proxyTo } from '../test/support/kafka/proxy.js'
import { beginning, openReader, Seen, send, write } from '../test/support/kafka/reader.js'
import { ownBroker, ownName } from '../test/support/kafka/shared.js'
import { until } from '../test/support/until.js'

const data = testFolder(t)
const broker = await ownBroker(t, { data, properties: { 'log.cleaner.backoff.ms': '100' } })
const { address } = broker
const { link } = await linkTo(t, address)

async function topicOf(configs: Readonly<Record<string, string>> = {}): Promise<string> {
  const topic = ownName('clicks')
  await makeTopics(t, address, { [topic]: 1 }, configs)
  return topic
}

const segment = (topic: string) => join(data, 'log', `${topic}-0`, `${'0'.repeat(20)}.log`)

t.test('gaps that compaction has made are passed', async (t) => {
  const topic = await topicOf({
    'cleanup.policy': 'compact',
    'segment.ms': '50',
    'min.cleanable.dirty.ratio': '0.001',
    'delete.retention.ms': '0',
  })
  const put = async (...keys: string[]) => {
    const records = keys.map((key) => {
      const value = key.startsWith('gone') ? null : Buffer.from(key)
      return { topic, partition: 0, timestamp: Date.now(), key: Buffer.from(key), value }
    })
    for (const { bytes } of encodeBatches(records, { maxBatchBytes: 100_000 })) {
      await send(link, topic, bytes)
    }
  }
  await put('a', 'b', 'c')
  await put('gone', 'gone 2')
  let end = 5
  await until('most of the records of before are gone', async () => {
    // Only what lies before the active file is compacted, and a file ends when something comes.
    await put('a', 'b', 'tick')
    end += 3
    const { reader } = openReader(t, address)
    await using closing = reader
    closing.assign(beginning(topic))
    const seen = new Seen(t)
    await seen.read(closing, () => seen.next(topic) === end)
    const values = seen.values(topic)
    // One pass over few records leaves most of them: it goes on until gaps are what is most.
    return values[0] === 'c' && !values.includes('') && values.length < end / 2
  })
  const { reader } = openReader(t, address)
  const seen = new Seen(t)
  reader.assign([{ topic, partition: 0, offset: 3 }])
  await seen.read(reader, () => seen.next(topic) === end)
  t.strictSame(seen.values(topic).slice(-3), ['a', 'b', 'tick'])
})

t.test('connections that are cut again and again lose nothing', async (t) => {
  const topic = await topicOf()
  const proxy = await proxyTo(t, address)
  const { reader } = openReader(t, address, {
    maxBytes: 64 * 1024,
    config: proxy.config,
  })
  reader.assign(beginning(topic))
  const seen = new Seen(t)
  const values = Array.from({ length: 60 }, (_, i) => `${i}`.padEnd(10_000, '.'))
  const reading = seen.read(reader, () => seen.next(topic) === values.length)
  for (const [i, value] of values.entries()) {
    await write(link, topic, [value])
    if (i % 5 !== 4) continue
    if (i % 2 === 0) await until('it is read', () => seen.next(topic) > i)
    proxy.cut()
  }
  await reading
  t.strictSame(seen.values(topic), values)
})

t.test('a fetch that is never answered is given up, and told of', async (t) => {
  const topic = await topicOf()
  await write(link, topic, ['a'])
  const proxy = await proxyTo(t, address)
  const { reader } = openReader(t, address, { config: proxy.config })
  reader.assign(beginning(topic))
  const seen = new Seen(t)
  await seen.read(reader, () => seen.next(topic) === 1)
  await proxy.lose('Fetch', 'silence').happened
  await write(link, topic, ['b'])
  await t.rejects(reader.next(), { code: 'BROKER_UNAVAILABLE' })
  await seen.read(reader, () => seen.next(topic) === 2)
  t.strictSame(seen.values(topic), ['a', 'b'])
})

t.test('a broker that is killed is told of, and read on when it is back', async (t) => {
  const topic = await topicOf()
  const { reader } = openReader(t, address, { maxBytes: 64 * 1024 })
  reader.assign(beginning(topic))
  const seen = new Seen(t)
  const values = Array.from({ length: 400 }, (_, i) => `${i}`.padEnd(5_000, '.'))
  const half = values.length / 2
  for (let i = 0; i < half; i += 10) await write(link, topic, values.slice(i, i + 10))
  await seen.read(reader, () => seen.next(topic) >= 50)
  await broker.kill()
  const told = await until('it is told', async () => {
    try {
      seen.add(await reader.next())
      return false
    } catch (error) {
      return { error }
    }
  })
  t.match(told.error, { code: 'BROKER_UNAVAILABLE', retryable: true })
  // As one does who has been told: from what was handed out.
  reader.assign([{ topic, partition: 0, offset: seen.next(topic) }])
  let failures = 0
  const reading = (async () => {
    while (seen.next(topic) < values.length) {
      try {
        seen.add(await reader.next())
      } catch (error) {
        failures += 1
        t.match(error, { code: 'BROKER_UNAVAILABLE' })
      }
    }
  })()
  await broker.restart()
  for (let i = half; i < values.length; i += 10) await write(link, topic, values.slice(i, i + 10))
  await reading
  t.strictSame(seen.values(topic), values)
  t.ok(failures < 20, `it is not told all the time: ${failures}`)
})

t.test('a broker that is started anew at once is not told of', async (t) => {
  const topic = await topicOf()
  await write(link, topic, ['a'])
  const { reader } = openReader(t, address)
  reader.assign(beginning(topic))
  const seen = new Seen(t)
  await seen.read(reader, () => seen.next(topic) === 1)
  const told: unknown[] = []
  const reading = (async () => {
    while (seen.next(topic) < 2) {
      try {
        seen.add(await reader.next())
      } catch (error) {
        told.push(error)
      }
    }
  })()
  const start = performance.now()
  await broker.restart()
  await write(link, topic, ['b'])
  await reading
  t.strictSame(seen.values(topic), ['a', 'b'])
  const limit = (performance.now() - start) / 5_000
  t.ok(told.length <= limit, `${told.length} in ${limit * 5} s`)
})

t.test(
  'records that a leader has lost are told of, though others are in their place',
  async (t) => {
    const topic = await topicOf()
    const lengths: number[] = []
    for (const value of ['a', 'b', 'c', 'd']) {
      const batch = batchOf({ values: [value] })
      lengths.push(batch.length)
      await send(link, topic, batch)
    }
    const { reader } = openReader(t, address)
    reader.assign(beginning(topic))
    const seen = new Seen(t)
    await seen.read(reader, () => seen.next(topic) === 4)
    await broker.kill()
    await truncate(segment(topic), (lengths[0] ?? 0) + (lengths[1] ?? 0))
    await broker.restart()
    // By another leader epoch, beyond the position.
    for (const value of ['x', 'y', 'z', '!']) await write(link, topic, [value])
    const lost = await until('it is told', async () => {
      try {
        seen.add(await reader.next())
        return false
      } catch (error) {
        return (
          error instanceof Error && 'code' in error && error.code !== 'BROKER_UNAVAILABLE' && error
        )
      }
    })
    t.match(lost, { code: 'OFFSET_OUT_OF_RANGE', offset: 4, message: /was cut at offset 2/ })
    t.strictSame(seen.values(topic), ['a', 'b', 'c', 'd'], 'nothing of the others')
  },
)

t.test('what lies before a damaged batch is read, and the damage is told', async (t) => {
  const topic = await topicOf()
  let at = 0
  for (const value of ['a', 'b', 'damaged', 'd']) {
    const batch = batchOf({ values: [value] })
    if (value === 'damaged') {
      // The last byte of the value; one more follows it.
      at += batch.length - 2
      await send(link, topic, batch)
      break
    }
    at += batch.length
    await send(link, topic, batch)
  }
  await write(link, topic, ['d'])
  const file = await open(segment(topic), 'r+')
  await file.write('!', at)
  await file.close()
  const { reader } = openReader(t, address)
  reader.assign(beginning(topic))
  const seen = new Seen(t)
  await seen.read(reader, () => seen.next(topic) === 2)
  t.strictSame(seen.values(topic), ['a', 'b'])
  const damaged = { code: 'LOG_DAMAGED', stream: topic, partition: 0, offset: 2 }
  await t.rejects(reader.next(), damaged)
  await t.rejects(reader.next(), damaged, 'each time')
  reader.assign([{ topic, partition: 0, offset: 3 }])
  t.match(await reader.next(), [{ from: 3, next: 4 }])
})

// The link of all tests is open, so the process would not end by itself.
t.end()
