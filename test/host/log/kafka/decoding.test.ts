// What is read of a broker's batches: transactions, markers, gaps, what is cut off, damaged, or not for this host to read.
import Module from 'node:module'
import t from 'tap'
import { type ErrorCode, HostError } from '#host/errors.js'
import * as batch from '#host/log/kafka/batch.js'
import { type AbortedTransaction, decodeBatches } from '#host/log/kafka/decoding.js'
import { encodeBatches } from '#host/log/kafka/encoding.js'
import { Random } from '#host/log/memory/random.js'
import {
  javaBatch,
  javaRecords,
  marker,
  oneBatch,
  place,
  placed,
  randomRecords,
  recordOf,
  resealed,
  sequencing,
  shown,
  shownRead,
} from './batches.js'

const keysOf = (bytes: Buffer, from: number, aborted?: readonly AbortedTransaction[]): string[] =>
  decodeBatches(place, bytes, from, aborted).records.map((record) => record.keyText())

const keyed = (...keys: string[]) => keys.map((key, i) => recordOf(i, key, 'v'))

// The first of all: what has been loaded once is not looked for again.
void t.test('names the package that it lacks', async (t) => {
  const resolve: unknown = Reflect.get(Module, '_resolveFilename')
  if (typeof resolve !== 'function') throw new Error('Node resolves in another way')
  t.teardown(() => Reflect.set(Module, '_resolveFilename', resolve))
  Reflect.set(Module, '_resolveFilename', (name: string, ...others: unknown[]) => {
    if (name === 'lz4-napi') throw new Error(`Cannot find module '${name}'`)
    return resolve(name, ...others)
  })
  t.throws(() => decodeBatches(place, javaBatch('lz4'), 40), {
    code: 'PACKAGE_MISSING',
    message: /compression lz4 needs the package lz4-napi.*`npm install lz4-napi`/,
    cause: { message: /Cannot find module/ },
  })
})

for (const [name, bigBytes] of [
  ['none', 1000],
  ['gzip', 100_000],
  ['snappy', 100_000],
  ['lz4', 100_000],
  ['zstd', 100_000],
] as const) {
  void t.test(`reads what Kafka's client has written (${name})`, async (t) => {
    const { records, next } = decodeBatches(place, javaBatch(name), 40)
    t.equal(next, 47)
    t.same(
      records.map(({ offset }) => offset),
      [40, 41, 42, 43, 44, 45, 46],
    )
    t.same(records.map(shownRead), javaRecords(bigBytes, false).map(shown))
    t.same(
      decodeBatches(place, javaBatch(name), 44).records.map(({ offset }) => offset),
      [44, 45, 46],
      'from within',
    )
  })
}

void t.test('reads snappy without the frame of Java clients', async (t) => {
  const plain = oneBatch(keyed('a', 'b'), 7)
  // All of it a literal, whose length is in one byte.
  const records = plain.subarray(batch.BATCH_HEAD_BYTES)
  const packed = Buffer.from([records.length, (records.length - 1) << 2, ...records])
  const bytes = Buffer.concat([plain.subarray(0, batch.BATCH_HEAD_BYTES), packed])
  bytes.writeInt16BE(2, batch.ATTRIBUTES)
  t.same(keysOf(resealed(bytes), 7), ['a', 'b'])
})

void t.test("takes the batch's time where the broker gives the time", async (t) => {
  const { records } = decodeBatches(place, javaBatch('appendTime'), 40)
  t.same(new Set(records.map(({ timestamp }) => timestamp)), new Set([1_234_567_890_123]))
})

void t.test('passes markers, empty batches and gaps', async (t) => {
  t.match(decodeBatches(place, javaBatch('commit'), 47), { records: [], next: 48 })
  t.match(decodeBatches(place, javaBatch('abort'), 47), { records: [], next: 48 })
  t.match(decodeBatches(place, javaBatch('empty'), 47), { records: [], next: 60 }, 'compacted')
  const bytes = Buffer.concat([
    oneBatch(keyed('a', 'b'), 10),
    placed(javaBatch('empty'), 12),
    oneBatch(keyed('c'), 100),
    placed(javaBatch('commit'), 105),
  ])
  t.same(keysOf(bytes, 5), ['a', 'b', 'c'])
  t.equal(decodeBatches(place, bytes, 5).next, 106)
  t.same(keysOf(bytes, 12), ['c'])
  t.match(decodeBatches(place, bytes, 200), { records: [], next: 200 }, 'never goes back')
  t.match(decodeBatches(place, Buffer.alloc(0), 9), { records: [], next: 9, cutBytes: 0 })
})

void t.test('reads a batch of which compaction has left some', async (t) => {
  const bytes = oneBatch(keyed('a', 'b', 'c'), 10)
  // The first record goes: the next one's delta stays.
  const first = batch.BATCH_HEAD_BYTES
  const length = 1 + (bytes[first] ?? 0) / 2
  const left = Buffer.concat([bytes.subarray(0, first), bytes.subarray(first + length)])
  left.writeInt32BE(2, batch.COUNT)
  const { records, next } = decodeBatches(place, resealed(left), 0)
  t.same(
    records.map((record) => [record.offset, record.keyText()]),
    [
      [11, 'b'],
      [12, 'c'],
    ],
  )
  t.equal(next, 13)
})

void t.test('leaves out what was aborted, and nothing else', async (t) => {
  const bytes = Buffer.concat([
    oneBatch(keyed('aborted'), 0, sequencing(1)),
    oneBatch(keyed('committed'), 1, sequencing(2)),
    oneBatch(keyed('outside'), 2, sequencing(1, false)),
    oneBatch(keyed('aborted too'), 3, sequencing(1)),
    marker('abort', 1, 4),
    oneBatch(keyed('later'), 5, sequencing(1)),
    marker('commit', 2, 6),
    marker('commit', 1, 7),
    oneBatch(keyed('aborted again'), 8, sequencing(1)),
    marker('abort', 1, 9),
  ])
  const aborted = [
    { producerId: 1, firstOffset: 8 },
    { producerId: 1, firstOffset: 0 },
  ]
  t.same(keysOf(bytes, 0, aborted), ['committed', 'outside', 'later'])
  t.same(keysOf(bytes, 3, aborted), ['later'], 'from within a transaction')
  t.equal(decodeBatches(place, bytes, 0, aborted).next, 10)
})

void t.test("takes a user's record that looks like a marker for a record", async (t) => {
  const key = Buffer.from([0, 0, 0, 0])
  const bytes = oneBatch([{ ...recordOf(1, 'k', 'v'), key }], 0, sequencing(1))
  t.same(decodeBatches(place, bytes, 0).records[0]?.key, key)
})

for (let seed = 1; seed <= 20; seed++) {
  void t.test(`reads each committed record once, wherever it is cut (seed ${seed})`, async (t) => {
    const random = new Random(seed)
    const { bytes, starts, aborted, committed, end } = randomLog(random)
    const read: unknown[] = []
    let position = 0
    let wanted = 0
    while (position < end) {
      // As a broker sends it: from the batch that holds the position, and perhaps not all of the last one.
      const at = starts.find(({ end }) => end > position)?.at ?? bytes.length
      const sent = bytes.subarray(at, at + Math.max(wanted, random.upTo(20_000)))
      const decoded = decodeBatches(
        place,
        sent,
        position,
        aborted.filter(({ last }) => last >= position),
      )
      read.push(...decoded.records.map((record) => [record.offset, shownRead(record)]))
      const goesOn = decoded.next > position || decoded.cutBytes > sent.length
      if (!goesOn) throw new Error(`stays at ${position} of ${end}`)
      wanted = decoded.next > position ? 0 : decoded.cutBytes
      position = decoded.next
    }
    t.equal(position, end)
    t.same(read, committed)
  })
}

/** Several producers in and out of transactions, in batches with gaps between. */
function randomLog(random: Random) {
  const open = new Map<number, { first: number; records: unknown[] }>()
  const committed: [offset: number, shown: unknown][] = []
  const aborted: (AbortedTransaction & { last: number })[] = []
  const parts: Buffer[] = []
  const starts: { at: number; end: number }[] = []
  let offset = 0
  let at = 0
  const push = (bytes: Buffer, count: number): void => {
    starts.push({ at, end: offset + count })
    parts.push(bytes)
    at += bytes.length
    offset += count + (random.happens(0.2) ? random.upTo(50) : 0)
  }
  const end = (producerId: number): void => {
    const transaction = open.get(producerId)
    if (transaction === undefined) return
    open.delete(producerId)
    const isAborted = random.happens(0.5)
    if (isAborted) aborted.push({ producerId, firstOffset: transaction.first, last: offset })
    else committed.push(...(transaction.records as typeof committed))
    push(marker(isAborted ? 'abort' : 'commit', producerId, offset), 1)
  }
  for (let step = 0; step < 60; step++) {
    const producerId = random.upTo(4)
    if (random.happens(0.3)) {
      end(producerId)
      continue
    }
    const isTransactional = random.happens(0.8)
    const records = randomRecords(random, random.upTo(8))
    const [one] = encodeBatches(records, {
      maxBatchBytes: 1e9,
      compression: random.happens(0.3) ? 'lz4' : 'none',
      sequencing: sequencing(producerId, isTransactional),
    })
    if (one === undefined) continue
    const rows = records.map((record, i): [number, unknown] => [offset + i, shown(record)])
    if (isTransactional) {
      const transaction = open.get(producerId) ?? { first: offset, records: [] }
      transaction.records.push(...rows)
      open.set(producerId, transaction)
    } else {
      committed.push(...rows)
    }
    push(placed(one.bytes, offset), records.length)
  }
  for (const producerId of [...open.keys()]) end(producerId)
  committed.sort(([a], [b]) => a - b)
  return { bytes: Buffer.concat(parts), starts, aborted, committed, end: starts.at(-1)?.end ?? 0 }
}

void t.test('no flipped bit is taken for a record', async (t) => {
  const good = oneBatch(keyed('alice', 'bob'), 10, sequencing(1))
  const expected = decodeBatches(place, good, 10).records.map(shownRead)
  const unchecked = (at: number): boolean => at < batch.MAGIC
  let refused = 0
  for (let at = 0; at < good.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const bytes = Buffer.from(good)
      bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
      try {
        const { records, cutBytes } = decodeBatches(place, bytes, 0)
        // Neither offset nor leader's epoch are under the checksum; a length may pass for a batch that was cut off.
        if (!unchecked(at)) t.fail(`bit ${bit} of byte ${at} was not noticed`)
        t.same(records.map(shownRead), cutBytes === 0 ? expected : [])
      } catch (error) {
        refused++
        t.match(error, {
          code: at === batch.MAGIC ? /^(LOG_DAMAGED|UNSUPPORTED_FORMAT)$/ : 'LOG_DAMAGED',
          retryable: false,
          stream: 'clicks',
          partition: 0,
          offset: 0,
        })
      }
    }
  }
  t.ok(refused >= (good.length - batch.MAGIC) * 8)
})

const told: ReadonlySet<ErrorCode> = new Set(['LOG_DAMAGED', 'UNSUPPORTED_FORMAT'])

for (const compression of ['none', 'gzip', 'lz4'] as const) {
  void t.test(
    `a batch that was written wrong is damaged, nothing else (${compression})`,
    async (t) => {
      const random = new Random(5)
      const records = [
        ...keyed('alice', 'bob'),
        recordOf(9, 'with headers', 'v', [['trace', Buffer.from('abc')]]),
        recordOf(9, 'carol', 'v'.repeat(300)),
      ]
      const [one] = encodeBatches(records, { compression, maxBatchBytes: 1e6 })
      let damaged = 0
      for (let run = 0; run < 3000; run++) {
        const bytes = Buffer.from(one?.bytes ?? [])
        const at = batch.ATTRIBUTES + random.upTo(bytes.length - batch.ATTRIBUTES) - 1
        bytes[at] = random.upTo(256) - 1
        try {
          const read = decodeBatches(place, resealed(bytes), 0)
          if (read.records.some(({ offset }) => offset >= read.next)) t.fail(`in run ${run}`)
        } catch (error) {
          damaged++
          const isTold = error instanceof HostError && told.has(error.code) && error.offset === 0
          if (!isTold) t.same(error, { run }, 'another error')
        }
      }
      t.ok(damaged > 100, `${damaged}`)
    },
  )
}

void t.test('hands out what lies before the damage, and refuses from there on', async (t) => {
  const bad = oneBatch(keyed('c'), 12)
  bad[bad.length - 1] = 1
  const bytes = Buffer.concat([oneBatch(keyed('a', 'b'), 10), bad, oneBatch(keyed('d'), 13)])
  const { records, next } = decodeBatches(place, bytes, 10)
  t.same([records.map((record) => record.keyText()), next], [['a', 'b'], 12])
  t.throws(() => decodeBatches(place, bytes, 12), { code: 'LOG_DAMAGED', offset: 12 })
})

void t.test('hands out nothing of a batch whose later records are wrong', async (t) => {
  const bad = oneBatch(keyed('c', 'd'), 12)
  // The last record is said to have a header.
  bad[bad.length - 1] = 2
  const bytes = Buffer.concat([oneBatch(keyed('a', 'b'), 10), resealed(bad)])
  t.same(keysOf(bytes, 10), ['a', 'b'])
  t.throws(() => decodeBatches(place, bytes, 12), { code: 'LOG_DAMAGED', offset: 12 })
})

void t.test('offsets that go back are damage', async (t) => {
  const bytes = Buffer.concat([oneBatch(keyed('a', 'b'), 10), oneBatch(keyed('c'), 11)])
  t.equal(decodeBatches(place, bytes, 10).next, 12)
  t.throws(() => decodeBatches(place, bytes, 12), { code: 'LOG_DAMAGED' })
})

void t.test('names what it cannot read', async (t) => {
  for (const version of [0, 1]) {
    t.throws(() => decodeBatches(place, javaBatch(`magic${version}`), 40), {
      code: 'UNSUPPORTED_FORMAT',
      message: new RegExp(`clicks/0 holds records of the message format ${version} at offset 40`),
    })
  }
  const bytes = oneBatch(keyed('a'), 3)
  bytes.writeInt16BE(6, batch.ATTRIBUTES)
  t.throws(() => decodeBatches(place, resealed(bytes), 3), {
    code: 'UNSUPPORTED_FORMAT',
    message: /compressed by an unknown method \(6\)/,
    offset: 3,
  })
})
