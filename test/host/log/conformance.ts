// What every log does, whichever adapter it is: run on each of them, it asserts nothing that is true of one alone.
import { randomBytes, randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import type {
  Assignment,
  Batch,
  CommitOutcome,
  Log,
  LogReader,
  LogRecord,
  Position,
  RecordToAppend,
  TopicPartition,
} from '#host/log/log.js'
import { partitionKey } from '#host/log/log.js'

export interface LogFixture {
  readonly log: Log
  /** The adapter's fault injection, if it has one: how the next commit ends. */
  readonly failNext?: (kind: 'failed' | 'unknown', options?: { written?: boolean }) => void
  /** The next read of the partition fails, once. */
  readonly failRead?: (topic: string, partition: number) => void
  /** Expires what lies before an offset, if the adapter can. */
  readonly trim?: (topic: string, partition: number, before: number) => void
  /** Compacts a partition of a table, if the adapter can. */
  readonly compact?: (topic: string, partition: number) => Promise<void>
}

/** Makes a log of its own and registers its clean-up with `t`. */
export type CreateLog = (t: Test) => Promise<LogFixture>

export const record = (
  topic: string,
  partition: number,
  value: string | null,
  more: Partial<RecordToAppend> = {},
): RecordToAppend => ({
  topic,
  partition,
  key: Buffer.from('key'),
  value: value === null ? null : Buffer.from(value),
  timestamp: 1_700_000_000_000,
  ...more,
})

export const values = (records: readonly LogRecord[]): (string | undefined)[] =>
  records.map(({ value }) => value?.toString())

export const from = (topic: string, partition: number, offset: number): Position => ({
  topic,
  partition,
  offset,
})

/** Reads until `enough`; what was read by partition, in order. */
export async function readUntil(
  reader: LogReader,
  enough: (read: Map<string, LogRecord[]>, batches: readonly Batch[]) => boolean,
): Promise<Map<string, LogRecord[]>> {
  const read = new Map<string, LogRecord[]>()
  for (;;) {
    const batches = await reader.next()
    for (const { topic, partition, records } of batches) {
      const key = partitionKey(topic, partition)
      read.set(key, [...(read.get(key) ?? []), ...records])
    }
    if (enough(read, batches)) return read
  }
}

export const total = (read: Map<string, LogRecord[]>): number =>
  [...read.values()].reduce((sum, records) => sum + records.length, 0)

/** So many records of one partition, from a position. */
export async function take(log: Log, position: Position, count: number): Promise<LogRecord[]> {
  await using reader = log.reader()
  reader.assign([position])
  const read = await readUntil(reader, (found) => total(found) >= count)
  return read.get(partitionKey(position.topic, position.partition)) ?? []
}

async function oldest(log: Log, { topic, partition }: TopicPartition): Promise<number> {
  const info = (await log.describe([topic])).get(topic)
  return info?.partitions[partition]?.oldest ?? -1
}

const unique = (name: string): string => `${name}-${randomUUID().slice(0, 8)}`

async function topicOf(log: Log, partitions = 4): Promise<string> {
  const name = unique('clicks')
  await log.ensure([{ name, kind: 'stream', partitions }])
  return name
}

const committedOf = (outcome: CommitOutcome): ReadonlyMap<string, number> | undefined =>
  outcome.kind === 'committed' ? outcome.next : undefined

export function logConformance(t: Test, name: string, create: CreateLog): void {
  const check = (title: string, body: (t: Test, fixture: LogFixture) => Promise<void>): void => {
    void t.test(`${name}: ${title}`, async (t) => body(t, await create(t)))
  }

  check('makes topics once and describes them', async (t, { log }) => {
    const stream = unique('clicks')
    const table = unique('counts')
    const specs = [
      { name: stream, kind: 'stream', partitions: 3, retentionMs: 60_000 },
      { name: table, kind: 'table', partitions: 2, replication: 1 },
    ] as const
    await log.ensure(specs)
    const first = await log.describe([stream, table, unique('missing')])
    t.same([...first.keys()].sort(), [stream, table].sort())
    t.match(first.get(stream), { name: stream, kind: 'stream' })
    t.match(first.get(table), { name: table, kind: 'table' })
    t.same(
      first.get(stream)?.partitions.map(({ partition }) => partition),
      [0, 1, 2],
    )
    for (const { oldest, stableEnd } of first.get(stream)?.partitions ?? []) {
      t.equal(oldest, stableEnd, 'an empty partition ends where it begins')
    }
    await log.ensure(specs)
    const again = await log.describe([stream, table])
    t.equal(again.get(stream)?.id, first.get(stream)?.id)
    t.not(again.get(stream)?.id, again.get(table)?.id)
  })

  check('refuses a topic that exists otherwise, and makes nothing then', async (t, { log }) => {
    const topic = await topicOf(log, 4)
    const other = unique('other')
    const mismatch = { code: 'TOPIC_MISMATCH', stream: topic }
    const spec = { name: other, kind: 'stream', partitions: 1 } as const
    await t.rejects(log.ensure([spec, { name: topic, kind: 'stream', partitions: 5 }]), mismatch)
    await t.rejects(log.ensure([spec, { name: topic, kind: 'table', partitions: 4 }]), mismatch)
    t.notOk((await log.describe([other])).has(other))
  })

  check('gives a topic that is made anew another id and none of its past', async (t, { log }) => {
    const topic = await topicOf(log, 1)
    const group = unique('group')
    await log.append([record(topic, 0, 'old')])
    const writer = await log.openWriter(group, 0)
    await writer.commit({ records: [], positions: [from(topic, 0, 0)] })
    const before = (await log.describe([topic])).get(topic)
    await log.remove([topic, unique('missing')])
    t.notOk((await log.describe([topic])).has(topic))
    t.same(await log.committed(group), [])
    await log.ensure([{ name: topic, kind: 'stream', partitions: 1 }])
    const after = (await log.describe([topic])).get(topic)
    t.not(after?.id, before?.id)
    t.equal(after?.partitions[0]?.stableEnd, after?.partitions[0]?.oldest)
    await log.append([record(topic, 0, 'new')])
    t.same(values(await take(log, from(topic, 0, 0), 1)), ['new'])
  })

  check('removes the topics that are meant, and not what is there by then', async (t, { log }) => {
    const topic = await topicOf(log, 1)
    const { id = '' } = (await log.describe([topic])).get(topic) ?? {}
    await log.remove([topic], { ids: [id] })
    t.notOk((await log.describe([topic])).has(topic))
    await log.ensure([{ name: topic, kind: 'stream', partitions: 1 }])
    const group = unique('group')
    const writer = await log.openWriter(group, 0)
    await writer.commit({ records: [], positions: [from(topic, 0, 0)] })
    await log.remove([topic], { ids: [id] })
    t.ok((await log.describe([topic])).has(topic))
    t.equal((await log.committed(group)).length, 1, 'positions in it stay, too')
  })

  check('returns ascending offsets, at which the records are read in order', async (t, { log }) => {
    const topic = await topicOf(log)
    const sent = Array.from({ length: 300 }, (_, i) => record(topic, i % 3, `${i}`))
    const offsets: number[] = []
    for (let at = 0; at < sent.length; at += 60) {
      offsets.push(...(await log.append(sent.slice(at, at + 60), { atomic: at % 120 === 0 })))
    }
    for (const partition of [0, 1, 2]) {
      const expected = sent.map((_, i) => i).filter((i) => i % 3 === partition)
      const found = await take(log, from(topic, partition, 0), expected.length)
      t.same(values(found), expected.map(String))
      t.same(
        found.map(({ offset }) => offset),
        expected.map((i) => offsets[i]),
      )
      t.ok(found.every(({ offset }, i) => i === 0 || offset > (found[i - 1]?.offset ?? offset)))
    }
  })

  check('keeps the order of appends that are not awaited', async (t, { log }) => {
    const topic = await topicOf(log, 1)
    const appends = Array.from({ length: 200 }, async (_, i) =>
      log.append([record(topic, 0, `${i}`)]),
    )
    const offsets = (await Promise.all(appends)).flat()
    const found = await take(log, from(topic, 0, 0), 200)
    // Delays may let a later append pass an earlier one, but never part a record from its offset.
    const byOffset = new Map(found.map(({ offset, value }) => [offset, value?.toString()]))
    t.same(
      offsets.map((offset) => byOffset.get(offset)),
      offsets.map((_, i) => `${i}`),
    )
  })

  check('appends nothing for no records', async (t, { log }) => {
    t.same(await log.append([]), [])
  })

  check('reads back keys, values, tombstones, headers and timestamps', async (t, { log }) => {
    const topic = await topicOf(log, 1)
    const bytes = Buffer.from([0, 255, 128, 10])
    const sent: RecordToAppend[] = [
      record(topic, 0, 'all', {
        key: bytes,
        timestamp: 1_600_000_000_123,
        headers: [
          ['trace', bytes],
          ['größe', Buffer.alloc(0)],
          ['trace', Buffer.from('twice')],
        ],
      }),
      record(topic, 0, null, { timestamp: 1_500_000_000_000 }),
      record(topic, 0, 'keyless', { key: null }),
      record(topic, 0, '', { key: Buffer.alloc(0) }),
      record(topic, 0, 'x'.repeat(300_000)),
      record(topic, 0, null, { key: null }),
    ]
    await log.append(sent)
    const found = await take(log, from(topic, 0, 0), sent.length)
    t.same(
      found.map((record) => ({
        key: record.key,
        value: record.value,
        timestamp: record.timestamp,
        headers: record.headers,
        keyText: record.keyText(),
        valueText: record.valueText(),
        valueBytes: record.valueBytes,
        isTombstone: record.isTombstone,
      })),
      sent.map(({ key, value, timestamp, headers }) => ({
        key,
        value,
        timestamp,
        headers: headers ?? [],
        keyText: key?.toString() ?? '',
        valueText: value?.toString() ?? '',
        valueBytes: value?.length ?? 0,
        isTombstone: value === null,
      })),
    )
  })

  check(
    'brief readers read what there is, none held up by one that is at the end',
    async (t, { log }) => {
      const topic = await topicOf(log, 3)
      await log.append([record(topic, 1, 'a'), record(topic, 2, 'b')])
      await using empty = log.reader({ isBrief: true })
      empty.assign([from(topic, 0, 0)])
      const waiting = readUntil(empty, (found) => total(found) >= 1)
      for (const [partition, value] of [
        [1, 'a'],
        [2, 'b'],
      ] as const) {
        await using reader = log.reader({ isBrief: true })
        reader.assign([from(topic, partition, 0)])
        const read = await readUntil(reader, (found) => total(found) >= 1)
        t.same([...read.values()].map(values), [[value]])
      }
      await log.append([record(topic, 0, 'late')])
      const late = await waiting
      t.same([...late.values()].map(values), [['late']], 'nor does it miss what comes')
    },
  )

  check('refuses what it cannot place, and writes nothing of it', async (t, { log }) => {
    const topic = await topicOf(log, 2)
    const missing = unique('missing')
    const good = record(topic, 0, 'good')
    const unknown = { code: 'UNKNOWN_TOPIC' }
    await t.rejects(log.append([good, record(missing, 0, 'x')], { atomic: true }), unknown)
    await t.rejects(log.append([good, record(topic, 2, 'x')], { atomic: true }), unknown)
    const huge = record(topic, 0, null, { value: Buffer.alloc(64 * 1024 * 1024) })
    await t.rejects(log.append([good, huge], { atomic: true }), { code: 'RECORD_TOO_LARGE' })
    await log.append([record(topic, 0, 'only')])
    t.same(values(await take(log, from(topic, 0, 0), 1)), ['only'])
  })

  check('takes no headers that it could not read back, and harms none beside', async (t, own) => {
    const { log } = own
    const topic = await topicOf(log, 1)
    const content = Buffer.from('x')
    const odd: Partial<RecordToAppend>[] = [
      { headers: [['n'.repeat(65_535), content]] },
      { headers: [['n'.repeat(65_536), content]] },
      { headers: [['ü'.repeat(40_000), content]] },
      { headers: Array.from({ length: 65_535 }, () => ['n', content] as const) },
      { headers: Array.from({ length: 65_536 }, () => ['n', content] as const) },
    ]
    const kept: RecordToAppend[] = []
    const sent = odd.flatMap((more, i) => [
      record(topic, 0, `${i}`, more),
      record(topic, 0, 'good'),
    ])
    // Not awaited one by one: whatever is written together has to stay readable.
    const ends = await Promise.allSettled(sent.map(async (one) => log.append([one])))
    ends.forEach((end, i) => {
      const one = sent[i]
      if (end.status === 'fulfilled' && one !== undefined) kept.push(one)
      else t.match(end, { reason: { code: 'RECORD_TOO_LARGE', retryable: false, stream: topic } })
    })
    const found = await take(log, from(topic, 0, 0), kept.length)
    t.equal(values(found).filter((value) => value === 'good').length, odd.length)
    const shown = (one: LogRecord | RecordToAppend): string =>
      `${one.value} ${one.headers?.length ?? 0} ${one.headers?.[0]?.[0]}`
    t.same(found.map(shown).sort(), kept.map(shown).sort())
    const writer = await log.openWriter(unique('group'), 0)
    const outcome = await writer.commit({
      records: [record(topic, 0, 'x'), record(topic, 0, 'x', odd[1] ?? {})],
      positions: [],
    })
    if (outcome.kind !== 'committed') {
      t.match(outcome, { kind: 'failed', cause: { code: 'RECORD_TOO_LARGE', retryable: false } })
    }
  })

  check('counts headers among the bytes of a record', async (t, { log }) => {
    const topic = await topicOf(log, 1)
    const huge = record(topic, 0, 'x', { headers: [['h', Buffer.alloc(64 * 1024 * 1024)]] })
    await t.rejects(log.append([huge]), { code: 'RECORD_TOO_LARGE' })
  })

  check(
    'reads from any position, also from within what was appended at once',
    async (t, { log }) => {
      const topic = await topicOf(log, 1)
      const sent = Array.from({ length: 50 }, (_, i) => record(topic, 0, `${i}`))
      const offsets = [
        ...(await log.append(sent.slice(0, 20))),
        ...(await log.append(sent.slice(20, 21))),
        ...(await log.append(sent.slice(21))),
      ]
      for (const start of [0, 1, 19, 20, 21, 35, 49]) {
        const found = await take(log, from(topic, 0, offsets[start] ?? -1), sent.length - start)
        t.equal(found[0]?.offset, offsets[start])
        t.equal(found.length, sent.length - start)
      }
    },
  )

  check('goes on at `next`, in small steps, without loss or repetition', async (t, { log }) => {
    const topic = await topicOf(log, 1)
    const sent = Array.from({ length: 400 }, (_, i) => record(topic, 0, `${i}`.padStart(500, '.')))
    for (let at = 0; at < sent.length; at += 7) await log.append(sent.slice(at, at + 7))
    const found: LogRecord[] = []
    let next = 0
    let calls = 0
    while (found.length < sent.length) {
      // A reader of its own each time: the position alone carries on.
      await using reader = log.reader({ maxBytes: 20_000 })
      reader.assign([from(topic, 0, next)])
      for (const batch of await reader.next()) {
        t.ok(batch.next > next || batch.records.length === 0)
        found.push(...batch.records)
        next = batch.next
      }
      calls++
    }
    t.ok(calls > 3, 'maxBytes has cut it')
    t.same(
      values(found),
      sent.map(({ value }) => value?.toString()),
    )
  })

  check('says when a partition is read to its end', async (t, { log }) => {
    const topic = await topicOf(log, 1)
    await log.append([record(topic, 0, 'a'), record(topic, 0, 'b')])
    await using reader = log.reader()
    reader.assign([from(topic, 0, 0)])
    let last: Batch | undefined
    const read = await readUntil(reader, (found, batches) => {
      last = batches.at(-1) ?? last
      return total(found) === 2 && last !== undefined && last.next >= last.stableEnd
    })
    t.equal(total(read), 2)
    const info = (await log.describe([topic])).get(topic)
    t.ok((info?.partitions[0]?.stableEnd ?? 0) >= (last?.next ?? Number.NaN))
  })

  check('wakes a waiting reader by a later append', async (t, { log }) => {
    const topic = await topicOf(log, 2)
    await using reader = log.reader()
    reader.assign([from(topic, 0, 0), from(topic, 1, 0)])
    for (let i = 0; i < 30; i++) {
      const reading = readUntil(reader, (found) => total(found) > 0)
      await log.append([record(topic, i % 2, `${i}`)])
      t.same(values([...(await reading).values()].flat()), [`${i}`])
    }
  })

  check('wakes every reader, and none for what it does not read', async (t, { log }) => {
    const topic = await topicOf(log, 2)
    await using first = log.reader()
    await using second = log.reader()
    await using other = log.reader()
    first.assign([from(topic, 0, 0)])
    second.assign([from(topic, 0, 0)])
    other.assign([from(topic, 1, 0)])
    const isEnough = (found: Map<string, LogRecord[]>): boolean => total(found) > 0
    const both = Promise.all([readUntil(first, isEnough), readUntil(second, isEnough)])
    const waiting = other.next()
    await log.append([record(topic, 0, 'a')])
    t.same((await both).map(total), [1, 1])
    other.wake()
    t.same(await waiting, [])
  })

  check('leaves paused partitions out and keeps their positions', async (t, { log }) => {
    const topic = await topicOf(log, 2)
    await log.append([record(topic, 0, 'a0'), record(topic, 1, 'b0')])
    await using reader = log.reader()
    reader.assign([from(topic, 0, 0), from(topic, 1, 0)])
    reader.pause({ topic, partition: 0 })
    const b = await readUntil(reader, (found) => total(found) === 1)
    t.same([...b.keys()], [partitionKey(topic, 1)])
    const waiting = readUntil(reader, (found) => total(found) === 1)
    reader.resume({ topic, partition: 0 })
    t.same(values([...(await waiting).values()].flat()), ['a0'])
  })

  check('reads what is assigned last, and is woken by it', async (t, { log }) => {
    const topic = await topicOf(log, 2)
    await log.append([record(topic, 1, 'b0'), record(topic, 1, 'b1')])
    await using reader = log.reader()
    const waiting = reader.next()
    reader.assign([from(topic, 1, 0)])
    t.same(await waiting, [])
    t.equal(total(await readUntil(reader, (found) => total(found) === 2)), 2)
    reader.assign([from(topic, 1, 0)])
    t.equal(total(await readUntil(reader, (found) => total(found) === 2)), 2)
    reader.assign([])
    const idle = reader.next()
    reader.wake()
    t.same(await idle, [])
  })

  check('rejects positions outside of the log, on both sides', async (t, { log, trim }) => {
    const topic = await topicOf(log, 2)
    await log.append([record(topic, 0, 'a'), record(topic, 0, 'b')])
    await using reader = log.reader()
    reader.assign([from(topic, 0, 1_000_000)])
    const code = 'OFFSET_OUT_OF_RANGE'
    await t.rejects(reader.next(), { code, stream: topic, partition: 0, offset: 1_000_000 })
    reader.assign([from(topic, 0, -1)])
    await t.rejects(reader.next(), { code, stream: topic, partition: 0, offset: -1 })
    reader.assign([from(topic, 0, 0)])
    t.equal(total(await readUntil(reader, (found) => total(found) === 2)), 2)
    if (trim === undefined) return
    const [last] = (await take(log, from(topic, 0, 0), 2)).slice(1)
    trim(topic, 0, last?.offset ?? -1)
    t.equal(await oldest(log, { topic, partition: 0 }), last?.offset)
    reader.assign([from(topic, 0, 0)])
    await t.rejects(reader.next(), { code, offset: 0 })
    t.same(values(await take(log, from(topic, 0, last?.offset ?? -1), 1)), ['b'])
  })

  check('keeps the offsets of what compaction leaves, and reads over the gaps', async (t, own) => {
    const { log, compact } = own
    const topic = unique('counts')
    await log.ensure([{ name: topic, kind: 'table', partitions: 1 }])
    const last = new Map<string, number>()
    for (let round = 0; round < 12; round++) {
      const keys = [`often`, `key-${round % 3}`, `once-${round}`]
      const sent = keys.map((key) => record(topic, 0, `${round}`, { key: Buffer.from(key) }))
      const offsets = await log.append(sent)
      for (const [i, key] of keys.entries()) last.set(key, offsets[i] ?? -1)
      if (round % 4 === 3) await compact?.(topic, 0)
    }
    const before = (await log.describe([topic])).get(topic)?.partitions[0]
    const start = before?.oldest ?? 0
    const end = before?.stableEnd ?? 0
    const readFrom = async (offset: number): Promise<LogRecord[]> => {
      await using reader = log.reader()
      reader.assign([from(topic, 0, offset)])
      const found: LogRecord[] = []
      for (let next = offset; next < end; ) {
        for (const batch of await reader.next()) {
          t.equal(batch.from, next)
          t.ok(batch.next > next || batch.records.length === 0)
          found.push(...batch.records)
          next = batch.next
        }
      }
      return found
    }
    const all = await readFrom(start)
    const byKey = new Map(all.map(({ key, offset }) => [`${key}`, offset]))
    t.same(byKey, last, 'the last record of each key is where it was appended')
    if (compact !== undefined) t.ok(all.length < 30, 'others are gone')
    for (let offset = start; offset < end; offset++) {
      const rest = all.filter((one) => one.offset >= offset)
      t.same(
        (await readFrom(offset)).map((one) => one.offset),
        rest.map((one) => one.offset),
        `from ${offset}, whether its record is there or not`,
      )
    }
  })

  check('says of each batch where it begins, and leaves nothing out', async (t, { log }) => {
    const topic = await topicOf(log, 3)
    for (let i = 0; i < 60; i++)
      await log.append([record(topic, i % 3, `${i}`.padStart(9_000, '.'))])
    await using reader = log.reader({ maxBytes: 20_000 })
    const positions = new Map([0, 1, 2].map((partition) => [partition, 0]))
    reader.assign([...positions].map(([partition, offset]) => from(topic, partition, offset)))
    let batches = 0
    for (let seen = 0; seen < 60; ) {
      for (const batch of await reader.next()) {
        t.equal(batch.from, positions.get(batch.partition))
        t.ok(batch.next >= batch.from)
        t.ok(batch.records.every(({ offset }) => offset >= batch.from && offset < batch.next))
        positions.set(batch.partition, batch.next)
        seen += batch.records.length
        batches++
      }
    }
    t.ok(batches > 6)
  })

  check('loses nothing of the others when one partition cannot be read', async (t, fixture) => {
    const { log, failRead } = fixture
    if (failRead === undefined) return
    const topic = await topicOf(log, 3)
    for (let i = 0; i < 30; i++) await log.append([record(topic, i % 3, `${i}`)])
    await using reader = log.reader()
    reader.assign([0, 1, 2].map((partition) => from(topic, partition, 0)))
    const positions = [0, 0, 0]
    const found: string[] = []
    let failures = 0
    for (let round = 0; found.length < 30; round++) {
      if (round < 10) failRead(topic, round % 3)
      let batches: readonly Batch[] = []
      try {
        batches = await reader.next()
      } catch (error) {
        t.match(error, { code: 'LOG_FAILED', stream: topic })
        failures++
      }
      for (const { partition, from: start, next, records } of batches) {
        t.equal(start, positions[partition], 'no batch is left out')
        positions[partition] = next
        found.push(...values(records).map(String))
      }
    }
    t.ok(failures > 0, 'the failure is told')
    t.same(
      found.map(Number).sort((a, b) => a - b),
      Array.from({ length: 30 }, (_, i) => i),
    )
    failRead(topic, 0)
    reader.assign([from(topic, 0, 0), from(topic, 1, 0)])
    await reader.next().catch(() => {})
    // What was assigned before is not asked for any more, and neither is its failure.
    reader.assign([from(topic, 1, 0)])
    t.equal(total(await readUntil(reader, (read) => total(read) === 10)), 10)
  })

  check('tells a reader that its topic does not exist, or has gone', async (t, { log }) => {
    const topic = await topicOf(log, 1)
    await using reader = log.reader()
    reader.assign([from(unique('missing'), 0, 0)])
    await t.rejects(reader.next(), { code: 'UNKNOWN_TOPIC' })
    reader.assign([from(topic, 0, 0)])
    const gone = t.rejects(reader.next(), { code: 'UNKNOWN_TOPIC' })
    await log.remove([topic])
    await gone
    await t.rejects(log.append([record(topic, 0, 'x')]), { code: 'UNKNOWN_TOPIC' })
    await t.rejects(log.offsetAt(topic, 0), { code: 'UNKNOWN_TOPIC' })
  })

  check('ends a waiting reader when it is disposed of', async (t, { log }) => {
    const topic = await topicOf(log, 1)
    const reader = log.reader()
    reader.assign([from(topic, 0, 0)])
    const waiting = reader.next()
    await reader[Symbol.asyncDispose]()
    t.same(await waiting, [])
    t.same(await reader.next(), [])
    await reader[Symbol.asyncDispose]()
  })

  check('lets no partition starve beside long ones', async (t, { log }) => {
    const topic = await topicOf(log, 24)
    const each = 200
    for (let partition = 0; partition < 20; partition++) {
      const part = Array.from({ length: each / 5 }, () =>
        // Nothing that could be made small.
        record(topic, partition, randomBytes(1000).toString('hex')),
      )
      for (let i = 0; i < 5; i++) await log.append(part)
    }
    const short = [20, 21, 22, 23]
    await log.append(short.map((partition) => record(topic, partition, 'short')))
    await using reader = log.reader({ maxBytes: 64 * 1024 })
    reader.assign(Array.from({ length: 24 }, (_, partition) => from(topic, partition, 0)))
    const read = await readUntil(reader, (found) =>
      short.every((partition) => found.get(partitionKey(topic, partition))?.length === 1),
    )
    const whole = [...read.values()].filter(({ length }) => length === each)
    t.ok(whole.length < 10, `most of the others go on (${whole.length} do not)`)
  })

  check('commits records and positions together', async (t, { log }) => {
    const topic = await topicOf(log, 2)
    const output = await topicOf(log, 2)
    const group = unique('group')
    await using writer = await log.openWriter(group, 1)
    t.same(writer.positions, [])
    const outcome = await writer.commit({
      records: [record(output, 0, 'a'), record(output, 1, 'b'), record(output, 0, 'c')],
      positions: [from(topic, 1, 7)],
    })
    const next = committedOf(outcome)
    t.same([...(next?.keys() ?? [])].sort(), [partitionKey(output, 0), partitionKey(output, 1)])
    const found = await take(log, from(output, 0, 0), 2)
    t.same(values(found), ['a', 'c'])
    t.ok((next?.get(partitionKey(output, 0)) ?? 0) > (found[1]?.offset ?? Number.NaN))
    t.same(values(await take(log, from(output, 1, 0), 1)), ['b'])
    t.same(await log.committed(group), [from(topic, 1, 7)])
    t.same(await log.committed(unique('group')), [])
  })

  check('gives a new writer the positions of its partition', async (t, { log }) => {
    const topic = await topicOf(log, 2)
    const other = await topicOf(log, 2)
    const group = unique('group')
    for (const partition of [0, 1]) {
      await using writer = await log.openWriter(group, partition)
      const positions = [from(topic, partition, 3), from(other, partition, 4)]
      await writer.commit({ records: [], positions })
      await writer.commit({ records: [], positions: [from(topic, partition, 5 + partition)] })
    }
    await using again = await log.openWriter(group, 1)
    const byTopic = (a: Position, b: Position): number =>
      a.topic.localeCompare(b.topic) || a.partition - b.partition
    const expected = [from(topic, 1, 6), from(other, 1, 4)]
    t.same([...again.positions].sort(byTopic), expected.sort(byTopic))
    t.equal((await log.committed(group)).length, 4)
    await using stranger = await log.openWriter(unique('group'), 1)
    t.same(stranger.positions, [])
  })

  check('fences the older writer of the same group and partition only', async (t, { log }) => {
    const topic = await topicOf(log, 2)
    const group = unique('group')
    const commit = (value: string): Parameters<typeof older.commit>[0] => ({
      records: [record(topic, 0, value)],
      positions: [from(topic, 0, 1)],
    })
    const older = await log.openWriter(group, 0)
    const neighbour = await log.openWriter(group, 1)
    t.equal((await older.commit(commit('first'))).kind, 'committed')
    const newer = await log.openWriter(group, 0)
    t.same(newer.positions, [from(topic, 0, 1)])
    t.same(await older.commit(commit('zombie')), { kind: 'fenced' })
    t.equal((await newer.commit(commit('second'))).kind, 'committed')
    t.equal((await neighbour.commit(commit('third'))).kind, 'committed')
    t.same(values(await take(log, from(topic, 0, 0), 3)), ['first', 'second', 'third'])
    await newer[Symbol.asyncDispose]()
    await newer[Symbol.asyncDispose]()
    t.same(await newer.commit(commit('closed')), { kind: 'fenced' })
  })

  check('tells an end behind all that was acknowledged', async (t, { log }) => {
    const topic = await topicOf(log, 2)
    await using writer = await log.openWriter(unique('group'), 0)
    for (let number = 0; number < 10; number += 1) {
      const records = [record(topic, 0, `${number}`), record(topic, 1, `${number}`)]
      const next = committedOf(await writer.commit({ records, positions: [] }))
      const partitions = (await log.describe([topic])).get(topic)?.partitions ?? []
      t.equal(partitions.length, 2)
      for (const { partition, end } of partitions) {
        t.ok(end >= (next?.get(partitionKey(topic, partition)) ?? Number.NaN), `commit ${number}`)
      }
    }
  })

  check('fails a commit that it cannot place as a whole', async (t, { log }) => {
    const topic = await topicOf(log, 1)
    const group = unique('group')
    await using writer = await log.openWriter(group, 0)
    const good = record(topic, 0, 'good')
    const outcome = await writer.commit({
      records: [good, record(unique('missing'), 0, 'x')],
      positions: [from(topic, 0, 1)],
    })
    t.match(outcome, { kind: 'failed', cause: { code: 'UNKNOWN_TOPIC' } })
    t.same(await log.committed(group), [])
    t.equal((await writer.commit({ records: [good], positions: [] })).kind, 'committed')
    t.equal((await take(log, from(topic, 0, 0), 1)).length, 1)
  })

  check('moves no position of a topic that was made anew under its writer', async (t, own) => {
    const { log } = own
    const topic = await topicOf(log, 1)
    const output = await topicOf(log, 1)
    const group = unique('group')
    await log.append([record(topic, 0, 'old')])
    const commit = { records: [record(output, 0, 'x')], positions: [from(topic, 0, 1)] }
    const older = await log.openWriter(group, 0)
    t.equal((await older.commit(commit)).kind, 'committed')
    await log.remove([topic])
    await log.ensure([{ name: topic, kind: 'stream', partitions: 1 }])
    t.match(await older.commit(commit), { kind: 'unknown', cause: { code: 'UNKNOWN_TOPIC' } })
    t.same(await log.committed(group), [])
    const newer = await log.openWriter(group, 0)
    t.same(newer.positions, [])
    const anew = { records: [record(output, 0, 'y')], positions: [from(topic, 0, 0)] }
    t.equal((await newer.commit(anew)).kind, 'committed')
    t.same(await log.committed(group), [from(topic, 0, 0)])
    t.same(values(await take(log, from(output, 0, 0), 2)), ['x', 'y'])
  })

  check('forgets a group with the topics that are removed, and no other group', async (t, own) => {
    const { log } = own
    const [input, gone] = [await topicOf(log, 1), await topicOf(log, 1)]
    const [group, other] = [unique('group'), unique('group')]
    for (const name of [group, other]) {
      await using writer = await log.openWriter(name, 0)
      const positions = [from(input, 0, 0), from(gone, 0, 0)]
      const commit = { records: [record(input, 0, 'x')], positions }
      t.equal((await writer.commit(commit)).kind, 'committed')
    }
    await log.remove([gone], { groups: [group] })
    t.same(await log.committed(group), [])
    t.same(await log.committed(other), [from(input, 0, 0)])
    await using writer = await log.openWriter(group, 0)
    t.same(writer.positions, [])
    t.equal((await take(log, from(input, 0, 0), 2)).length, 2)
  })

  check('writes nothing when a commit fails, all or nothing when unknown', async (t, fixture) => {
    const { log, failNext } = fixture
    if (failNext === undefined) return
    const topic = await topicOf(log, 1)
    const group = unique('group')
    const commit = { records: [record(topic, 0, 'once')], positions: [from(topic, 0, 1)] }
    const writer = await log.openWriter(group, 0)
    failNext('failed')
    t.match(await writer.commit(commit), { kind: 'failed', cause: Error })
    t.same(await log.committed(group), [])
    failNext('unknown', { written: false })
    t.match(await writer.commit(commit), { kind: 'unknown', cause: Error })
    const second = await log.openWriter(group, 0)
    t.same(second.positions, [])
    failNext('unknown', { written: true })
    t.match(await second.commit(commit), { kind: 'unknown', cause: Error })
    const third = await log.openWriter(group, 0)
    t.same(third.positions, [from(topic, 0, 1)])
    const last = { records: [record(topic, 0, 'last')], positions: [] }
    t.equal((await third.commit(last)).kind, 'committed')
    t.same(values(await take(log, from(topic, 0, 0), 2)), ['once', 'last'])
  })

  check('finds positions by time, also where timestamps do not rise', async (t, { log }) => {
    const topic = await topicOf(log, 2)
    const times = [100, 300, 200, 400]
    await log.append(times.map((timestamp) => record(topic, 0, `${timestamp}`, { timestamp })))
    const found = await take(log, from(topic, 0, 0), times.length)
    for (const [time, expected] of [
      [0, 0],
      [100, 0],
      [150, 1],
      [250, 1],
      [300, 1],
      [301, 3],
      [400, 3],
    ] as const) {
      const [first] = await log.offsetAt(topic, time)
      t.equal(first?.offset, found[expected]?.offset, `at ${time}`)
    }
    const ends = (await log.describe([topic])).get(topic)?.partitions ?? []
    t.same(
      (await log.offsetAt(topic, 401)).map(({ offset }) => offset),
      ends.map(({ stableEnd }) => stableEnd),
    )
  })

  check('knows where the present epoch ends', async (t, { log }) => {
    const topic = await topicOf(log, 1)
    await log.append([record(topic, 0, 'a')])
    await take(log, from(topic, 0, 0), 1)
    const [partition] = (await log.describe([topic])).get(topic)?.partitions ?? []
    const epoch = partition?.leaderEpoch ?? -1
    const found = await log.endOfEpoch({ topic, partition: 0 }, epoch)
    t.equal(found.leaderEpoch, epoch)
    t.ok(found.end >= (partition?.stableEnd ?? Number.NaN))
    const later = await log.endOfEpoch({ topic, partition: 0 }, epoch + 10)
    t.ok(later.leaderEpoch <= epoch, 'an epoch that was not yet: the newest one known')
  })

  check('assigns every partition to the one member of a group', async (t, { log }) => {
    const topic = await topicOf(log, 3)
    const other = await topicOf(log, 3)
    const seen: string[] = []
    const options = {
      group: unique('group'),
      topics: [topic, other],
      instance: 'host-1',
      address: 'http://127.0.0.1:7420',
      assigned: async ({ partitions, kept, standbys }: Assignment) => {
        const more = [...kept, ...standbys].length
        seen.push(`assigned ${[...partitions].sort().join(' ')}${more > 0 ? ' and more' : ''}`)
      },
      revoked: async () => {
        await log.append([record(topic, 0, 'last')])
        seen.push('revoked')
      },
      lost: () => {
        seen.push('lost')
      },
    }
    const member = await log.join(options)
    t.same(seen, ['assigned 0 1 2'])
    t.same(
      member.members().map((one) => ({ ...one, partitions: [...one.partitions].sort() })),
      [{ instance: 'host-1', address: options.address, partitions: [0, 1, 2], standbys: [] }],
    )
    await member[Symbol.asyncDispose]()
    await member[Symbol.asyncDispose]()
    t.same(seen, ['assigned 0 1 2', 'revoked'])
    await t.rejects(log.join({ ...options, topics: [unique('missing')] }), {
      code: 'UNKNOWN_TOPIC',
    })
    const odd = await topicOf(log, 2)
    await t.rejects(log.join({ ...options, topics: [topic, odd] }), { code: 'TOPIC_MISMATCH' })
  })

  check('answers nothing once it is closed, and closes twice', async (t, { log }) => {
    const topic = await topicOf(log, 1)
    const group = unique('group')
    const reader = log.reader()
    reader.assign([from(topic, 0, 0)])
    const waiting = reader.next()
    const writer = await log.openWriter(group, 0)
    const append = log.append([record(topic, 0, 'before')]).then(
      () => 'kept',
      (error: { code: string }) => error.code,
    )
    await log[Symbol.asyncDispose]()
    await log[Symbol.asyncDispose]()
    t.match(await append, /kept|LOG_CLOSED/)
    for (const batch of await waiting) t.equal(batch.topic, topic)
    const closed = { code: 'LOG_CLOSED' }
    await t.rejects(log.describe([topic]), closed)
    await t.rejects(log.endOfEpoch({ topic, partition: 0 }, 1), closed)
    await t.rejects(log.offsetAt(topic, 0), closed)
    await t.rejects(log.ensure([]), closed)
    await t.rejects(log.remove([topic]), closed)
    await t.rejects(log.committed(group), closed)
    await t.rejects(log.append([record(topic, 0, 'x')]), closed)
    await t.rejects(log.openWriter(group, 0), closed)
    await t.rejects(reader.next(), closed)
    t.throws(() => log.reader(), closed)
    const outcome = await writer.commit({ records: [], positions: [] })
    t.match(outcome, { kind: 'failed', cause: closed })
    await reader[Symbol.asyncDispose]()
    await writer[Symbol.asyncDispose]()
  })
}
