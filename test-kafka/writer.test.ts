import t, { type Test } from 'tap'
import type { Brokers } from '#host/log/kafka/brokers.js'
import { kafkaErrors } from '#host/log/kafka/error-codes.js'
import { listOffsets, offsetAt } from '#host/log/kafka/requests/list-offsets.js'
import { offsetFetch } from '#host/log/kafka/requests/offset-fetch.js'
import type { GroupMember } from '#host/log/kafka/requests/transaction.js'
import type { KafkaWriteSettings } from '#host/log/kafka/write-settings.js'
import { type KafkaWriterOptions, openKafkaWriter } from '#host/log/kafka/writer.js'
import type { Commit, CommitOutcome, LogWriter, RecordToAppend } from '#host/log/log.js'
import { brokersOf, makeTopics, quietKafka } from '../test/support/kafka/client.js'
import { committedRecords, committedValues, difference } from '../test/support/kafka/committed.js'
import { type ApiName, proxyTo } from '../test/support/kafka/proxy.js'
import { brokerAddress, ownBroker, ownName } from '../test/support/kafka/shared.js'
import { runTool } from '../test/support/kafka/tool.js'
import { until } from '../test/support/until.js'

const address = await brokerAddress(t)
const brokers = brokersOf(t, address)
// The first one of a new broker has the topics of the coordinators made, which takes longer than some tests wait.
await openKafkaWriter(brokers, { group: ownName('first'), partition: 0 })

const record = (topic: string, value: string | Buffer, partition = 0): RecordToAppend => ({
  topic,
  partition,
  key: null,
  value: typeof value === 'string' ? Buffer.from(value) : value,
  timestamp: Date.now(),
})

const ends = async (topic: string) =>
  await brokers.askLeaders([{ topic, partition: 0, time: offsetAt.latest }], (of) =>
    listOffsets(of, false),
  )

interface Trial {
  readonly input: string
  readonly output: string
  readonly group: string
  open(more?: Partial<KafkaWriterOptions>, way?: Brokers): Promise<LogWriter>
  /** Values to output/0, and the group's position of input/0. */
  commit(offset: number, ...values: string[]): Commit
  position(): Promise<number>
  values(partition?: number): Promise<string[]>
}

async function trial(t: Test, at = address, own = brokers): Promise<Trial> {
  const [input, output, group] = [ownName('clicks'), ownName('counts'), ownName('group')]
  await makeTopics(t, at, { [input]: 2, [output]: 4 })
  return {
    input,
    output,
    group,
    open: (more = {}, way = own) => openKafkaWriter(way, { group, partition: 0, ...more }),
    commit: (offset, ...values) => ({
      records: values.map((value) => record(output, value)),
      positions: [{ topic: input, partition: 0, offset }],
    }),
    position: () =>
      until('the position is decided', async () => {
        const node = await own.coordinator('group', group)
        const asked = offsetFetch(group, [{ topic: input, partition: 0 }])
        const { error, positions } = await own.ask(node, asked)
        const [one] = positions
        return error === kafkaErrors.NONE && one?.error === kafkaErrors.NONE && one.offset
      }),
    values: (partition = 0) => committedValues(own, output, partition),
  }
}

t.test('what is committed is there with its positions, and nothing else', async (t) => {
  const { input, output, group, open, position } = await trial(t)
  const writer = await open({ partition: 1 })
  t.strictSame(writer.positions, [])
  const outcome = await writer.commit({
    records: [record(output, 'a'), record(output, 'b', 1), record(output, 'c')],
    positions: [{ topic: input, partition: 1, offset: 7 }],
  })
  const next = outcome.kind === 'committed' ? outcome.next : new Map<string, number>()
  t.strictSame([...next].sort(), [
    [`${output}/0`, 2],
    [`${output}/1`, 1],
  ])
  // A marker lies between the two.
  t.match(await writer.commit({ records: [record(output, 'd')], positions: [] }), {
    kind: 'committed',
    next: new Map([[`${output}/0`, 4]]),
  })
  t.match(await writer.commit({ records: [], positions: [] }), { kind: 'committed' })
  const positions = [{ topic: input, partition: 1, offset: 9 }]
  t.match(await writer.commit({ records: [], positions }), { kind: 'committed' })
  t.equal(await position(), -1, 'of the other partition')

  const again = await open({ partition: 1 })
  t.strictSame(again.positions, positions)
  t.strictSame((await open({ partition: 0 })).positions, [])
  const read = ['--topic', output, '--from-beginning', '--isolation-level', 'read_committed']
  const printed = await runTool(address, 'kafka-console-consumer', [...read, '--max-messages', '4'])
  t.strictSame(printed.trim().split('\n').sort(), ['a', 'b', 'c', 'd'])
  const shown = await runTool(address, 'kafka-consumer-groups', ['--describe', '--group', group])
  t.match(shown, new RegExp(`${input}\\s+1\\s+9`))
})

t.test('records of several batches and partitions keep their order', async (t) => {
  const { output, open, values } = await trial(t)
  const writer = await open({ settings: { maxBatchBytes: 2_000 } })
  const sent = Array.from({ length: 4_000 }, (_, i) => `${i}`.padStart(60, '.'))
  for (let at = 0; at < sent.length; at += 2_000) {
    const records = sent.slice(at, at + 2_000).map((value, i) => record(output, value, i % 4))
    const outcome = await writer.commit({ records, positions: [] })
    t.equal(outcome.kind, 'committed')
  }
  for (const partition of [0, 1, 2, 3]) {
    const expected = sent.filter((_, i) => i % 4 === partition)
    t.equal(difference(await values(partition), expected), undefined)
  }
})

t.test('`next` is where a reader goes on behind the commit', async (t) => {
  const { output, open, commit } = await trial(t)
  const writer = await open()
  for (let i = 0; i < 5; i++) {
    const outcome = await writer.commit(commit(i, `${i}`, 'x'))
    const last = (await committedRecords(brokers, output)).at(-1)
    t.match(outcome, {
      kind: 'committed',
      next: new Map([[`${output}/0`, (last?.offset ?? -2) + 1]]),
    })
  }
})

t.test('whoever opens fences the writer before, which never commits again', async (t) => {
  const { open, commit, values, position } = await trial(t)
  const older = await open()
  t.equal((await older.commit(commit(1, 'a'))).kind, 'committed')
  const newer = await open()
  t.match(newer.positions, [{ offset: 1 }])
  t.strictSame(await older.commit(commit(2, 'zombie')), { kind: 'fenced' })
  t.strictSame(await older.commit({ records: [], positions: [] }), { kind: 'fenced' })
  t.equal((await newer.commit(commit(3, 'b'))).kind, 'committed')
  t.strictSame(await older.commit(commit(4, 'zombie')), { kind: 'fenced' })
  await newer[Symbol.asyncDispose]()
  t.strictSame(await newer.commit(commit(5, 'closed')), { kind: 'fenced' })
  t.strictSame(await values(), ['a', 'b'])
  t.equal(await position(), 3)
})

t.test(
  'a writer opens at once while another partition of the group is being decided',
  async (t) => {
    const { input, open, commit } = await trial(t)
    const proxy = await proxyTo(t, address)
    const other = await open({ partition: 1 }, brokersOf(t, address, proxy.config))
    const move = (offset: number) =>
      other.commit({ records: [], positions: [{ topic: input, partition: 1, offset }] })
    // The very first one is not named before it is decided.
    t.equal((await move(6)).kind, 'committed')
    const held = proxy.lose('EndTxn', 'hold')
    const committing = move(7)
    await held.happened
    const writer = await open()
    t.strictSame(writer.positions, [])
    t.equal((await writer.commit(commit(1, 'a'))).kind, 'committed')
    held.release()
    t.equal((await committing).kind, 'committed')
  },
)

for (const api of ['Produce', 'TxnOffsetCommit', 'EndTxn'] as const) {
  t.test(`a writer that is overtaken before its ${api} arrives is fenced`, async (t) => {
    const { open, commit, values, position } = await trial(t)
    const proxy = await proxyTo(t, address)
    const older = await open({}, brokersOf(t, address, proxy.config))
    t.equal((await older.commit(commit(1, 'a'))).kind, 'committed')
    const held = proxy.lose(api, 'hold')
    const committing = older.commit(commit(2, 'zombie'))
    await held.happened
    const newer = await open()
    t.match(newer.positions, [{ offset: 1 }])
    held.release()
    t.strictSame(await committing, { kind: 'fenced' })
    t.equal((await newer.commit(commit(3, 'b'))).kind, 'committed')
    t.strictSame(await values(), ['a', 'b'])
    t.equal(await position(), 3)
  })
}

/** Commits until it is: a `failed` commit is tried again as it is, an `unknown` one by what the positions say. */
async function persist(
  t: Test,
  { open, position }: Trial,
  writer: LogWriter,
  commit: Commit,
  way: Brokers,
): Promise<{ writer: LogWriter; outcomes: CommitOutcome['kind'][] }> {
  const outcomes: CommitOutcome['kind'][] = []
  for (;;) {
    const outcome = await writer.commit(commit)
    outcomes.push(outcome.kind)
    if (outcome.kind === 'committed') return { writer, outcomes }
    if (outcome.kind === 'fenced') {
      t.fail('nobody else was there')
      return { writer, outcomes }
    }
    if (outcome.kind === 'failed') continue
    writer = await open({}, way)
    t.equal(writer.positions[0]?.offset ?? -1, await position())
    if (writer.positions[0]?.offset === commit.positions[0]?.offset) return { writer, outcomes }
  }
}

const steps: readonly ApiName[] = [
  'AddPartitionsToTxn',
  'AddOffsetsToTxn',
  'Produce',
  'TxnOffsetCommit',
  'EndTxn',
]
for (const api of steps) {
  for (const loss of ['request', 'answer'] as const) {
    t.test(`each commit counts once when the ${loss} of ${api} is lost`, async (t) => {
      const own = await trial(t)
      const proxy = await proxyTo(t, address)
      const way = brokersOf(t, address, proxy.config)
      let writer = await own.open({}, way)
      const expected: string[] = []
      for (let i = 1; i <= 12; i++) {
        const lost = i % 3 === 0 ? proxy.lose(api, loss) : undefined
        const values = [`${i}a`, `${i}b`]
        const done = await persist(t, own, writer, own.commit(i, ...values), way)
        writer = done.writer
        expected.push(...values)
        if (lost === undefined) continue
        await lost.happened
        if (api === 'EndTxn') t.equal(done.outcomes[0], 'unknown')
        else if (api === 'Produce' || api === 'TxnOffsetCommit') {
          t.strictSame(done.outcomes, ['failed', 'committed'])
        } else t.strictSame(done.outcomes, ['committed'])
      }
      t.strictSame(await own.values(), expected)
      t.equal(await own.position(), 12)
    })
  }
}

t.test('an answer to EndTxn that does not come is unknown, and the positions tell', async (t) => {
  const { open, commit, values } = await trial(t)
  const proxy = await proxyTo(t, address)
  const way = brokersOf(t, address, proxy.config)
  const settings = { requestTimeoutMs: 200 }
  const writer = await open({ settings }, way)
  t.equal((await writer.commit(commit(1, 'a'))).kind, 'committed')
  proxy.lose('EndTxn', 'silence')
  t.match(await writer.commit(commit(2, 'b')), {
    kind: 'unknown',
    cause: { code: 'BROKER_UNAVAILABLE' },
  })
  t.match(await writer.commit(commit(2, 'b')), { kind: 'unknown' }, 'it is over')
  const again = await open({ settings }, way)
  t.match(again.positions, [{ offset: 2 }])
  t.strictSame(await values(), ['a', 'b'])
})

t.test('what cannot be aborted for certain is unknown, and is not there afterwards', async (t) => {
  const { open, commit, values } = await trial(t)
  const proxy = await proxyTo(t, address)
  const way = brokersOf(t, address, proxy.config)
  const writer = await open({ settings: { deadlineMs: 500 } }, way)
  t.equal((await writer.commit(commit(1, 'a'))).kind, 'committed')
  proxy.lose('Produce', 'answer')
  proxy.lose('EndTxn', 'request', 1_000)
  t.match(await writer.commit(commit(2, 'b')), { kind: 'unknown' })
  proxy.heal()
  const again = await open({}, way)
  t.match(again.positions, [{ offset: 1 }])
  t.equal((await again.commit(commit(3, 'c'))).kind, 'committed')
  t.strictSame(await values(), ['a', 'c'])
})

t.test('without a broker a commit fails in its time, and is committed later', async (t) => {
  const { open, commit, values } = await trial(t)
  const proxy = await proxyTo(t, address)
  const way = brokersOf(t, address, proxy.config)
  const writer = await open({ settings: { deadlineMs: 300 } }, way)
  proxy.lose('AddPartitionsToTxn', 'request', 1_000)
  proxy.lose('AddOffsetsToTxn', 'request', 1_000)
  t.match(await writer.commit(commit(1, 'a')), {
    kind: 'failed',
    cause: { code: 'BROKER_UNAVAILABLE', retryable: true },
  })
  proxy.heal()
  t.equal((await writer.commit(commit(1, 'a'))).kind, 'committed')
  t.strictSame(await values(), ['a'])
})

t.test(
  'while a partition lacks replicas a commit fails in its time, and leaves nothing',
  async (t) => {
    const { open, commit, values, position } = await trial(t)
    const proxy = await proxyTo(t, address)
    const writer = await open(
      { settings: { deadlineMs: 400 } },
      brokersOf(t, address, proxy.config),
    )
    proxy.lose('Produce', 'refuse', 3)
    t.equal((await writer.commit(commit(1, 'a'))).kind, 'committed')
    proxy.lose('Produce', 'refuse', 1_000)
    t.match(await writer.commit(commit(2, 'b')), {
      kind: 'failed',
      cause: { code: 'BROKER_UNAVAILABLE', retryable: true },
    })
    t.equal(await position(), 1)
    proxy.heal()
    t.equal((await writer.commit(commit(2, 'b'))).kind, 'committed')
    t.strictSame(await values(), ['a', 'b'])
  },
)

t.test('a commit that cannot be placed fails, and writes nothing', async (t) => {
  const { output, input, group, open, commit, values, position } = await trial(t)
  const writer = await open()
  for (const bad of [record(ownName('missing'), 'x'), record(output, 'x', 9)]) {
    const outcome = await writer.commit({
      records: [record(output, 'good'), bad],
      positions: [{ topic: input, partition: 0, offset: 1 }],
    })
    t.match(outcome, { kind: 'failed', cause: { code: 'UNKNOWN_TOPIC', retryable: false } })
  }
  const small: Partial<KafkaWriteSettings> = { maxRecordBytes: 100 }
  const limited = await openKafkaWriter(brokers, { group, partition: 0, settings: small })
  const tooLarge = { kind: 'failed', cause: { code: 'RECORD_TOO_LARGE', retryable: false } }
  t.match(await limited.commit(commit(1, 'x'.repeat(200))), tooLarge)
  t.equal(await position(), -1)
  t.equal((await limited.commit(commit(2, 'good'))).kind, 'committed')
  t.strictSame(await values(), ['good'])
})

t.test('a topic’s own limit divides batches, and refuses the record that is beyond', async (t) => {
  const { output, open, commit, values, position } = await trial(t)
  await runTool(address, 'kafka-configs', [
    ...['--alter', '--entity-type', 'topics', '--entity-name', output],
    ...['--add-config', 'max.message.bytes=4000'],
  ])
  const writer = await open({ settings: { compression: 'none' } })
  const all = Array.from({ length: 300 }, (_, i) => `${i}`.padStart(100, '.'))
  // Each attempt with batches that are too large has left a marker.
  const behind = [{ topic: output, partition: 0, offset: 0, leaderEpoch: -1 }]
  t.equal((await writer.commit({ ...commit(1, ...all), behind })).kind, 'committed')
  t.match(await writer.commit(commit(2, 'x'.repeat(5_000))), {
    kind: 'failed',
    cause: { code: 'RECORD_TOO_LARGE', retryable: false, stream: output },
  })
  t.equal(await position(), 1)
  t.equal((await writer.commit(commit(3, 'last'))).kind, 'committed')
  t.strictSame(await values(), [...all, 'last'])
})

t.test('no position is moved in a topic that was made anew', async (t) => {
  const { input, open, commit, values } = await trial(t)
  const named = await open({ topics: [input] })
  const older = await open({ partition: 1 })
  const positions = [{ topic: input, partition: 1, offset: 1 }]
  t.equal((await named.commit(commit(1, 'a'))).kind, 'committed')
  const admin = quietKafka(address).admin()
  t.teardown(() => admin.disconnect())
  await admin.connect()
  await admin.deleteTopics({ topics: [input] })
  const anew = { kind: 'unknown', cause: { code: 'UNKNOWN_TOPIC', stream: input } }
  await until('it is gone', async () => !(await brokers.topicIds()).has(input))
  t.match(await named.commit(commit(2, 'b')), anew)
  await makeTopics(t, address, { [input]: 2 })
  t.match(await older.commit({ records: [], positions }), anew)
  const newer = await open()
  t.strictSame(newer.positions, [])
  t.equal((await newer.commit(commit(0, 'c'))).kind, 'committed')
  t.strictSame(await values(), ['a', 'c'])
})

t.test(
  'a member commits in its generation; expelled, it is fenced and fences nobody',
  async (t) => {
    const { input, group, open, commit, values, position } = await trial(t)
    const consumer = quietKafka(address).consumer({ groupId: group })
    t.teardown(() => consumer.disconnect())
    const joined = new Promise<GroupMember>((resolve) => {
      consumer.on(consumer.events.GROUP_JOIN, ({ payload }) =>
        resolve({ group, generation: 1, member: payload.memberId }),
      )
    })
    await consumer.connect()
    await consumer.subscribe({ topic: input })
    await consumer.run({ autoCommit: false, eachMessage: async () => {} })
    const member = await joined
    let now: GroupMember = member
    const writer = await open({ member, asMember: async () => now })
    now = { ...member, generation: 0 }
    t.equal((await writer.commit(commit(1, 'a'))).kind, 'committed')
    await writer.renew?.()
    t.strictSame(await writer.commit(commit(2, 'b')), { kind: 'fenced' })
    t.strictSame(await writer.commit(commit(3, 'c')), { kind: 'fenced' }, 'for good')
    const owner = await open({ member })
    const stale = { ...member, member: 'somebody' }
    await t.rejects(open({ member: stale }), { code: 'FENCED' })
    t.equal((await owner.commit(commit(4, 'd'))).kind, 'committed')
    t.strictSame(await values(), ['a', 'd'])
    t.equal(await position(), 4)
  },
)

t.test('what does not come to lie behind what was read is not committed', async (t) => {
  const { output, open, commit, position, values } = await trial(t)
  const behind = (offset: number, leaderEpoch = -1) => ({
    behind: [{ topic: output, partition: 0, offset, leaderEpoch }],
  })
  const first = await open()
  t.equal((await first.commit({ ...commit(1, 'a', 'b'), ...behind(0) })).kind, 'committed')
  for (const told of [2, 4]) {
    const writer = await open()
    const outcome = await writer.commit({ ...commit(2, 'made of less'), ...behind(told) })
    t.match(outcome, { kind: 'unknown', cause: { message: /ended at \d+, and not at/ } })
    t.strictSame(await writer.commit(commit(2, 'later')), outcome, 'it has to be opened anew')
  }
  const writer = await open()
  // Once what was given up has its marker.
  const [{ offset: end, leaderEpoch } = { offset: -1, leaderEpoch: -1 }] = await ends(output)
  t.ok(leaderEpoch >= 0, 'who tells of an end says as whose leader')
  t.match(writer.positions, [{ offset: 1 }])
  t.equal((await writer.commit({ ...commit(3, 'c'), ...behind(end) })).kind, 'committed')
  t.strictSame(await values(), ['a', 'b', 'c'])
  t.equal(await position(), 3)
  const last = await open()
  const since = await last.commit({ ...commit(4, 'd'), ...behind(end, leaderEpoch) })
  t.equal(since.kind, 'committed', 'under the same leader, who told of all that there was')
})

t.test('nor is what was only made of what was read, and lies elsewhere', async (t) => {
  const { output, open, commit, position, values } = await trial(t)
  const behind = (offset: number) => ({
    behind: [{ topic: output, partition: 0, offset, leaderEpoch: -1 }],
  })
  const first = await open()
  t.equal((await first.commit({ ...commit(1, 'a', 'b'), ...behind(0) })).kind, 'committed')
  for (const told of [2, 4]) {
    const writer = await open()
    const outcome = await writer.commit({ ...commit(2), ...behind(told) })
    t.match(outcome, { kind: 'unknown', cause: { message: /ended at \d+, and not at/ } })
  }
  t.equal(await position(), 1)
  const writer = await open()
  const [{ offset: end } = { offset: -1 }] = await ends(output)
  t.equal((await writer.commit({ ...commit(2), ...behind(end) })).kind, 'committed')
  t.equal(await position(), 2)
  t.equal(
    (await writer.commit({ ...commit(3), ...behind(end) })).kind,
    'committed',
    'once is enough',
  )
  t.equal((await writer.commit({ ...commit(4, 'c'), ...behind(end) })).kind, 'committed')
  t.strictSame(await values(), ['a', 'b', 'c'], 'nobody reads what was written for that')
})

t.test('what a commit that failed has left behind is no matter to the next', async (t) => {
  const proxy = await proxyTo(t, address)
  const { output, open, commit, values } = await trial(t)
  const settings = { deadlineMs: 400 }
  const writer = await open({ settings }, brokersOf(t, address, proxy.config))
  const behind = [{ topic: output, partition: 0, offset: 0, leaderEpoch: -1 }]
  proxy.lose('Produce', 'refuse', 1_000)
  for (let attempt = 0; attempt < 2; attempt += 1) {
    t.equal((await writer.commit({ ...commit(1, 'a'), behind })).kind, 'failed')
  }
  proxy.heal()
  t.equal((await writer.commit({ ...commit(1, 'a'), behind })).kind, 'committed')
  t.strictSame(await values(), ['a'])
})

t.test('once the brokers are closed a commit fails, and none is opened', async (t) => {
  const { open, commit } = await trial(t)
  const way = brokersOf(t, address)
  const writer = await open({}, way)
  await way[Symbol.asyncDispose]()
  const closed = { kind: 'failed', cause: { code: 'LOG_CLOSED' } }
  t.match(await writer.commit(commit(1, 'a')), closed)
  t.match(await writer.commit({ records: [], positions: [] }), closed)
  await t.rejects(open({}, way), { code: 'LOG_CLOSED' })
})

t.test('through deaths of the broker every record is there once, in order', async (t) => {
  const broker = await ownBroker(t)
  const own = brokersOf(t, broker.address)
  const proxy = await proxyTo(t, broker.address)
  const way = brokersOf(t, broker.address, proxy.config)
  const { input, output, open } = await trial(t, broker.address, way)
  const total = 40_000
  const size = 100
  const seen: Record<string, number> = {}
  let writer = await open({ topics: [input] })
  let at = writer.positions[0]?.offset ?? 0
  const writing = (async () => {
    while (at < total) {
      const values = Array.from({ length: size }, (_, i) => `${at + i}`)
      const outcome = await writer.commit({
        records: values.map((value, i) => record(output, value, (at + i) % 4)),
        positions: [{ topic: input, partition: 0, offset: at + size }],
      })
      seen[outcome.kind] = (seen[outcome.kind] ?? 0) + 1
      if (outcome.kind === 'committed') at += size
      if (outcome.kind === 'fenced') throw new Error('nobody else was there')
      if (outcome.kind !== 'unknown') continue
      writer = await until('it is opened anew', async () =>
        open({ topics: [input] }).catch(() => undefined),
      )
      at = writer.positions[0]?.offset ?? 0
    }
  })()
  // Each time with the answer to one of them on its way.
  for (const [i, api] of steps.entries()) {
    await until('it is on its way', () => at >= (total * (i + 1)) / (steps.length + 1))
    await proxy.lose(api, 'answer').happened
    await broker.kill()
    await broker.restart()
  }
  await writing
  t.comment(`outcomes: ${JSON.stringify(seen)}`)
  for (const partition of [0, 1, 2, 3]) {
    const found = await committedValues(own, output, partition)
    const expected = Array.from({ length: total / 4 }, (_, i) => `${i * 4 + partition}`)
    t.equal(difference(found, expected), undefined, 'none missing, twice or out of order')
  }
})

// The brokers of all tests are connected, so the process would not end by itself.
t.end()
