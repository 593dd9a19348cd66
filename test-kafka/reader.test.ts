// The reader of the Kafka log on a live broker.
import t from 'tap'
import { kafkaErrors } from '#host/log/kafka/error-codes.js'
import { metadata } from '#host/log/kafka/requests/metadata.js'
import { batchOf } from '../test/support/kafka/batch.js'
import { linkTo, makeTopics, newTopic, quietKafka } from '../test/support/kafka/client.js'
import { beginning, openReader, Seen, send, write } from '../test/support/kafka/reader.js'
import { brokerAddress, ownName } from '../test/support/kafka/shared.js'
import { until } from '../test/support/until.js'

const address = await brokerAddress(t)
const { link } = await linkTo(t, address)
const kilobyte = 1024

/** Values of one batch, about so many bytes. */
const many = (name: string, count: number, bytes = 100) =>
  Array.from({ length: count }, (_, i) => `${name}-${i}`.padEnd(bytes, '.'))

t.test('records come in order, each once, whatever fits into an answer', async (t) => {
  const { topic } = await newTopic(t, address, link, 5)
  const written = new Map<number, string[]>()
  for (let i = 0; i < 60; i++) {
    const partition = i % 4
    const values = many(`${partition}-${i}`, 1 + ((i * 37) % 300))
    await write(link, topic, values, partition)
    written.set(partition, [...(written.get(partition) ?? []), ...values])
  }
  for (const maxBytes of [20 * kilobyte, 1024 * kilobyte]) {
    const { reader } = openReader(t, address, { maxBytes })
    reader.assign(beginning(topic, 5))
    const seen = new Seen(t)
    await seen.read(reader, () =>
      [...written].every(([partition, { length }]) => seen.next(topic, partition) >= length),
    )
    for (const [partition, values] of written) {
      t.strictSame(seen.values(topic, partition), values, `${maxBytes}: partition ${partition}`)
    }
    t.strictSame(seen.values(topic, 4), [], 'and nothing of the empty one')
  }
})

t.test('batches larger than what a reader hands out are read, in every partition', async (t) => {
  const { topic } = await newTopic(t, address, link, 3)
  const large = 'x'.repeat(900_000)
  for (const partition of [0, 1, 2]) {
    await write(link, topic, ['first'], partition)
    await write(link, topic, [large], partition)
    await write(link, topic, ['last'], partition)
  }
  const { reader } = openReader(t, address, { maxBytes: 16 * kilobyte })
  reader.assign(beginning(topic, 3))
  const seen = new Seen(t)
  await seen.read(reader, () => [0, 1, 2].every((partition) => seen.next(topic, partition) === 3))
  for (const partition of [0, 1, 2]) {
    t.strictSame(seen.values(topic, partition), ['first', large, 'last'])
  }
})

t.test('a reader at the end gets a record at once, by the fetch that waits for it', async (t) => {
  const { topic } = await newTopic(t, address, link, 2)
  const { reader, brokers } = openReader(t, address)
  reader.assign(beginning(topic, 2))
  const seen = new Seen(t)
  let isOver = false
  const reading = seen.read(reader, () => isOver)
  await until('one that waited has brought it, long before it had waited to its end', async () => {
    await until('a fetch waits', () => brokers.waiting.length === 1)
    const [waiting] = brokers.waiting
    const had = seen.values(topic, 1).length
    await write(link, topic, ['tick'], 1)
    await until('it is read', () => seen.values(topic, 1).length > had)
    return waiting?.isAnswered === true && waiting.ms < waiting.waitMs / 2
  })
  isOver = true
  reader.wake()
  await reading
})

t.test('what is assigned anew is not held up by a fetch that waits', async (t) => {
  const quiet = await newTopic(t, address, link)
  const busy = await newTopic(t, address, link)
  await write(link, busy.topic, ['a', 'b'])
  const { reader, brokers } = openReader(t, address)
  await until('records come while it waits', async () => {
    reader.assign(beginning(quiet.topic))
    const idle = reader.next()
    await until('a fetch waits', () => brokers.waiting.length === 1)
    const [waiting] = brokers.waiting
    reader.assign([...beginning(quiet.topic), ...beginning(busy.topic)])
    await idle
    const [batch] = await reader.next()
    t.equal(batch?.records.length, 2)
    return waiting?.isAnswered === false
  })
  const seen = new Seen(t)
  const reading = seen.read(reader, () => seen.values(quiet.topic).length > 0)
  await until('all wait together again', () => {
    const open = brokers.fetches.filter(({ isAnswered }) => !isAnswered)
    return open.length === 1 && brokers.waiting.length === 1
  })
  await write(link, quiet.topic, ['c'])
  await reading
  t.strictSame(seen.values(quiet.topic), ['c'])
})

t.test('an open transaction holds records back until it is decided', async (t) => {
  const { topic } = await newTopic(t, address, link)
  const producer = quietKafka(address).producer({
    transactionalId: ownName('counts'),
    idempotent: true,
    maxInFlightRequests: 1,
  })
  t.teardown(() => producer.disconnect())
  await producer.connect()
  const values = (...of: string[]) => ({ topic, messages: of.map((value) => ({ value })) })
  const { reader, brokers } = openReader(t, address)
  reader.assign(beginning(topic))
  const seen = new Seen(t)

  const aborted = await producer.transaction()
  await aborted.send(values('never', 'ever'))
  await write(link, topic, ['behind it'])
  const first = reader.next()
  const fetched = brokers.fetches.length
  await until('several fetches have brought nothing', () => {
    return brokers.fetches.filter(({ isAnswered }) => isAnswered).length > fetched + 1
  })
  await aborted.abort()
  seen.add(await first)
  await seen.read(reader, () => seen.next(topic) >= 4)
  t.strictSame(seen.values(topic), ['behind it'])
  t.equal(seen.next(topic), 4, 'behind the marker')

  const committed = await producer.transaction()
  await committed.send(values('c', 'd'))
  await committed.commit()
  await seen.read(reader, () => seen.next(topic) >= 7)
  t.strictSame(seen.values(topic), ['behind it', 'c', 'd'])

  const empty = await producer.transaction()
  await empty.send(values('gone'))
  await empty.abort()
  seen.add(await reader.next())
  await seen.read(reader, () => seen.next(topic) >= 9)
  t.equal(seen.values(topic).length, 3, 'an abort alone moves the position')
})

t.test('a batch that is decoded later knows what was aborted before it', async (t) => {
  const { topic } = await newTopic(t, address, link)
  const producer = quietKafka(address).producer({
    transactionalId: ownName('counts'),
    idempotent: true,
    maxInFlightRequests: 1,
  })
  t.teardown(() => producer.disconnect())
  await producer.connect()
  const expected: string[] = []
  for (let i = 0; i < 8; i++) {
    const transaction = await producer.transaction()
    const value = `${i}-`.padEnd(30 * kilobyte, '.')
    await transaction.send({ topic, messages: [{ value }, { value }] })
    if (i % 2 === 0) await transaction.abort()
    else {
      await transaction.commit()
      expected.push(value, value)
    }
  }
  const { source, brokers } = openReader(t, address)
  const [place] = await source.find(beginning(topic))
  if (place === undefined) throw new Error('it is there')
  await until('all is fetched', () => place.next === 24 && brokers.waiting.length === 1)
  const one = { topic, partition: 0, position: 0, leaderEpoch: undefined, place }
  const read: string[] = []
  const positions: number[] = []
  while (one.position < 24) {
    const { records, next } = await source.read(one, 1)
    read.push(...records.map((record) => record.valueText()))
    one.position = next
    positions.push(next)
  }
  t.ok(positions.length >= 16, 'batch by batch')
  t.strictSame(read, expected)
  const [again] = await source.find(beginning(topic))
  if (again === undefined) throw new Error('it is there')
  await until('all is fetched again', () => again.next === 24)
  const whole = await source.read({ ...one, position: 0, place: again }, 10_000_000)
  t.strictSame(
    whole.records.map((record) => record.valueText()),
    expected,
    'of several fetches at a time',
  )
})

t.test('a paused partition is left out, until it is resumed or assigned anew', async (t) => {
  const { topic } = await newTopic(t, address, link, 2)
  await write(link, topic, ['a'], 0)
  await write(link, topic, ['b'], 1)
  const { reader } = openReader(t, address)
  const paused = { topic, partition: 0 }
  reader.assign(beginning(topic, 2))
  reader.pause(paused)
  const seen = new Seen(t)
  await seen.read(reader, () => seen.next(topic, 1) === 1)
  await write(link, topic, ['c'], 1)
  await seen.read(reader, () => seen.next(topic, 1) === 2)
  t.strictSame(seen.values(topic, 0), [])
  const waiting = reader.next()
  reader.resume(paused)
  seen.add(await waiting)
  t.strictSame(seen.values(topic, 0), ['a'])

  const woken = reader.next()
  reader.wake()
  t.strictSame(await woken, [])
  reader.assign([{ topic, partition: 1, offset: 1 }])
  t.match(await reader.next(), [{ partition: 1, from: 1, next: 2, stableEnd: 2 }])
  reader.assign([])
  const idle = reader.next()
  reader.assign(beginning(topic))
  t.strictSame(await idle, [], 'woken by the assignment')
  t.match(await reader.next(), [{ partition: 0, from: 0, next: 1 }])
})

t.test('positions go on over an assignment, wherever that sets them', async (t) => {
  const { topic } = await newTopic(t, address, link, 2)
  const values = many('v', 400)
  for (let i = 0; i < 400; i += 20) {
    for (const partition of [0, 1]) await write(link, topic, values.slice(i, i + 20), partition)
  }
  const { reader } = openReader(t, address, { maxBytes: 16 * kilobyte })
  reader.assign(beginning(topic, 2))
  const kept: string[] = []
  const next = [0, 0]
  for (let turn = 0; next[0] !== 400 || next[1] !== 400; turn++) {
    for (const batch of await reader.next()) {
      t.equal(batch.from, next[batch.partition])
      next[batch.partition] = batch.next
      if (batch.partition === 0) kept.push(...batch.records.map((record) => record.valueText()))
    }
    // Partition 0 goes on, partition 1 goes back once.
    if (turn === 1) next[1] = 10
    if (turn % 2 === 1) {
      reader.assign(next.map((offset, partition) => ({ topic, partition, offset })))
    }
  }
  t.strictSame(kept, values)
})

t.test('a position below the oldest offset, or above the end, is told', async (t) => {
  const { topic } = await newTopic(t, address, link, 2)
  await write(link, topic, ['a', 'b', 'c', 'd'])
  const admin = quietKafka(address).admin()
  t.teardown(() => admin.disconnect())
  await admin.connect()
  await admin.fetchTopicOffsets(topic)
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '2' }] })
  const { reader } = openReader(t, address)
  const told = { code: 'OFFSET_OUT_OF_RANGE', stream: topic, partition: 0 }
  reader.assign([{ topic, partition: 0, offset: 1 }])
  await t.rejects(reader.next(), { ...told, offset: 1, message: /\(2 to 4\)/ })
  await t.rejects(reader.next(), { ...told, offset: 1 }, 'as often as it is asked for')
  reader.assign([{ topic, partition: 0, offset: 9 }])
  await t.rejects(reader.next(), { ...told, offset: 9 })
  reader.assign([{ topic, partition: 0, offset: 2 }])
  t.match(await reader.next(), [{ from: 2, next: 4 }])
  reader.assign([{ topic, partition: 0, offset: 4 }])
  const atEnd = reader.next()
  await write(link, topic, ['e'])
  t.match(await atEnd, [{ from: 4, next: 5 }])
})

t.test('a topic that is missing, removed or made anew is unknown', async (t) => {
  const { topic } = await newTopic(t, address, link)
  await write(link, topic, ['a', 'b', 'c'])
  const { reader } = openReader(t, address)
  reader.assign(beginning(ownName('missing')))
  await t.rejects(reader.next(), { code: 'UNKNOWN_TOPIC' })
  reader.assign([{ topic, partition: 7, offset: 0 }])
  await t.rejects(reader.next(), { code: 'UNKNOWN_TOPIC', stream: topic, partition: 7 })

  reader.assign(beginning(topic))
  t.match(await reader.next(), [{ next: 3 }])
  const removed = t.rejects(reader.next(), { code: 'UNKNOWN_TOPIC', stream: topic })
  const admin = quietKafka(address).admin()
  t.teardown(() => admin.disconnect())
  await admin.connect()
  await admin.deleteTopics({ topics: [topic] })
  await removed

  await until('it is gone', async () => {
    const { topics } = await link.ask(metadata([topic]))
    return topics[0]?.error === kafkaErrors.UNKNOWN_TOPIC_OR_PARTITION
  })
  await makeTopics(t, address, { [topic]: 1 })
  await write(link, topic, ['x', 'y', 'z'])
  reader.assign([{ topic, partition: 0, offset: 3 }])
  const isAnother = { code: 'UNKNOWN_TOPIC', stream: topic }
  const anew = t.rejects(reader.next(), isAnother, 'its fourth record is another')
  await admin.deleteTopics({ topics: [topic] })
  await makeTopics(t, address, { [topic]: 1 })
  await write(link, topic, ['1', '2', '3', '4', '5'])
  await anew
})

t.test('what is not taken bounds what is fetched', async (t) => {
  const { topic } = await newTopic(t, address, link, 6)
  const size = 8 * kilobyte
  for (let i = 0; i < 60; i++) {
    for (let partition = 0; partition < 6; partition++) {
      await send(link, topic, batchOf({ values: ['x'.repeat(size)] }), partition)
    }
  }
  const maxBytes = 128 * kilobyte
  const { reader, brokers } = openReader(t, address, { maxBytes })
  for (const partition of [0, 1, 2]) reader.pause({ topic, partition })
  reader.assign(beginning(topic, 6))
  for (const partition of [0, 1, 2]) reader.pause({ topic, partition })
  const seen = new Seen(t)
  let taken = 0
  let most = 0
  while (![3, 4, 5].every((partition) => seen.next(topic, partition) === 60)) {
    const batches = await reader.next()
    const had = [3, 4, 5].map((partition) => seen.values(topic, partition).length)
    seen.add(batches)
    const has = [3, 4, 5].map((partition) => seen.values(topic, partition).length)
    taken += has.reduce((sum, n, i) => sum + n - (had[i] ?? 0), 0) * size
    most = Math.max(most, brokers.fetchedBytes - taken)
  }
  await until('nothing more is fetched of them', () => brokers.waiting.length === 1)
  most = Math.max(most, brokers.fetchedBytes - taken)
  t.ok(most > maxBytes / 8, 'something is fetched ahead')
  t.ok(most <= 2 * maxBytes + 6 * 16 * kilobyte, `${most} bytes were held`)
  for (const partition of [0, 1, 2]) reader.resume({ topic, partition })
  await seen.read(reader, () => [0, 1, 2].every((partition) => seen.next(topic, partition) === 60))
})

t.test('a broker that asks for it is left alone', async (t) => {
  const { topic } = await newTopic(t, address, link)
  const { reader, brokers } = openReader(t, address)
  let goOn = (): void => {}
  const pauses: number[] = []
  brokers.paused = (ms) => {
    pauses.push(ms)
    return new Promise((resolve) => {
      goOn = resolve
    })
  }
  const isFetch = (answer: object) => 'partitions' in answer
  brokers.answered = (answer) => (isFetch(answer) ? { ...answer, throttleMs: 1 } : answer)
  reader.assign(beginning(topic))
  const waiting = reader.next()
  await until('it was asked', () => pauses.length > 0)
  brokers.answered = (answer) => answer
  const before = brokers.fetches.length
  await write(link, topic, ['a'])
  reader.wake()
  t.strictSame(await waiting, [])
  t.equal(brokers.fetches.length, before)
  t.strictSame(pauses, [1])
  const next = reader.next()
  goOn()
  t.match(await next, [{ next: 1 }])
})

t.test('a reader that waits ends at once when it is disposed of', async (t) => {
  const { topic } = await newTopic(t, address, link)
  const { reader, brokers } = openReader(t, address)
  reader.assign(beginning(topic))
  const waiting = reader.next()
  await until('a fetch waits', () => brokers.waiting.length === 1)
  // That it ends is its being cut off: the broker would have answered with nothing.
  let isAnswered = false
  brokers.answered = (answer) => {
    isAnswered = true
    return answer
  }
  await reader[Symbol.asyncDispose]()
  t.strictSame(await waiting, [])
  t.notOk(isAnswered)
  t.strictSame(await reader.next(), [])
  const asked = brokers.asked.length
  await write(link, topic, ['a'])
  t.equal(brokers.asked.length, asked, 'and asks for nothing more')
})

// The link of all tests is open, so the process would not end by itself.
t.end()
