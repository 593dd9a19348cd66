// The batches that are written: against those of Kafka's own client, and read again.
import t from 'tap'
import * as batch from '#host/log/kafka/batch.js'
import { compressions, type WrittenCompression } from '#host/log/kafka/compression.js'
import { decodeBatches } from '#host/log/kafka/decoding.js'
import { encodeBatches, sequenceAfter } from '#host/log/kafka/encoding.js'
import {
  VarintReader,
  varintBytes,
  varlongBytes,
  writeVarint,
  writeVarlong,
} from '#host/log/kafka/varint.js'
import { Random } from '#host/log/memory/random.js'
import {
  javaBatch,
  javaRecords,
  place,
  placed,
  randomRecords,
  recordOf,
  sequencing,
  shown,
  shownRead,
} from './batches.js'

const written: readonly WrittenCompression[] = ['none', 'gzip', 'lz4']

void t.test('integers of every length are read as they were written', async (t) => {
  const edges = [0, 1, 63, 64, 8191, 8192, 2 ** 20, 2 ** 27, 2 ** 31 - 1, 2 ** 31, 2 ** 48, 2 ** 52]
  const all = [...edges, Number.MAX_SAFE_INTEGER - 1, Number.MAX_SAFE_INTEGER].flatMap((n) => [
    n,
    -n,
    n - 1,
    -n - 1,
  ])
  for (const value of all.filter(Number.isSafeInteger)) {
    const target = Buffer.alloc(20)
    t.equal(writeVarlong(target, 0, value), varlongBytes(value), `length of ${value}`)
    const reader = new VarintReader(target, 0)
    t.equal(reader.varlong() + 0, value + 0)
    t.equal(reader.at, varlongBytes(value))
    if (value !== (value | 0)) continue
    t.equal(writeVarint(target, 3, value), 3 + varintBytes(value))
    t.equal(new VarintReader(target, 3).varint(), value + 0)
  }
})

void t.test("is byte for byte what Kafka's client writes", async (t) => {
  const [only, ...others] = encodeBatches(javaRecords(1000), {
    maxBatchBytes: 1e6,
    sequencing: {
      producerId: 4_294_967_299,
      producerEpoch: 7,
      baseSequence: 2_147_483_645,
      isTransactional: true,
    },
  })
  t.equal(others.length, 0)
  t.match(only, { count: 7, baseSequence: 2_147_483_645 })
  const bytes = only === undefined ? undefined : placed(only.bytes, 40)
  t.equal(bytes?.toString('hex'), javaBatch('transactional').toString('hex'))
})

for (const compression of written) {
  for (let seed = 1; seed <= 8; seed++) {
    void t.test(`random records are read as written (${compression}, seed ${seed})`, async (t) => {
      const random = new Random(seed)
      const records = randomRecords(random, 300)
      const maxBatchBytes = random.upTo(40_000)
      const batches = encodeBatches(records, {
        compression,
        maxBatchBytes,
        ...(random.happens(0.5) ? { sequencing: sequencing(4) } : {}),
      })
      let next = 100
      for (const { bytes, count } of batches) {
        t.ok(bytes.length <= maxBatchBytes || count === 1)
        placed(bytes, next)
        next += count
      }
      const read = decodeBatches(place, Buffer.concat(batches.map(({ bytes }) => bytes)), 100)
      t.equal(read.next, 400)
      t.same(
        read.records.map(({ offset }) => offset),
        records.map((_, i) => 100 + i),
      )
      t.same(read.records.map(shownRead), records.map(shown))
    })
  }
}

void t.test('a batch is as large as it may be, and sequences follow over batches', async (t) => {
  const records = Array.from({ length: 100 }, (_, i) => recordOf(i, 'k', 'v'.repeat(100)))
  const max = 2000
  const batches = encodeBatches(records, {
    maxBatchBytes: max,
    sequencing: { ...sequencing(1), baseSequence: 2 ** 31 - 30 },
  })
  t.ok(batches.length > 5)
  t.equal(
    batches.map(({ count }) => count).reduce((a, b) => a + b),
    100,
  )
  const full = batches.slice(0, -1)
  t.ok(full.every(({ bytes }) => bytes.length <= max && bytes.length > max - 120))
  let sequence = 2 ** 31 - 30
  for (const { bytes, count, baseSequence } of batches) {
    t.equal(baseSequence, sequence)
    t.equal(bytes.readInt32BE(batch.BASE_SEQUENCE), sequence)
    t.equal(bytes.readInt32BE(batch.LAST_OFFSET_DELTA), count - 1)
    sequence = sequence + count > 2 ** 31 - 1 ? sequence + count - 2 ** 31 : sequence + count
  }
  t.equal(sequenceAfter(2 ** 31 - 1, 1), 0, 'as Kafka counts')
})

void t.test('what compression would make larger is left as it is', async (t) => {
  const random = new Random(1)
  const noise = Buffer.from(Array.from({ length: 5000 }, () => random.upTo(256) - 1))
  for (const compression of written) {
    const [noisy] = encodeBatches([{ ...recordOf(1, 'k', ''), value: noise }], {
      compression,
      maxBatchBytes: 5100,
    })
    t.ok((noisy?.bytes.length ?? Infinity) <= 5100)
    t.equal(noisy?.bytes.readInt16BE(batch.ATTRIBUTES), 0)
    const [plain] = encodeBatches([recordOf(1, 'k', 'v'.repeat(5000))], {
      compression,
      maxBatchBytes: 6000,
    })
    t.equal(plain?.bytes.readInt16BE(batch.ATTRIBUTES), compressions.indexOf(compression))
    t.equal((plain?.bytes.length ?? 0) < 500, compression !== 'none')
  }
})

void t.test('without a producer, and of no records', async (t) => {
  const [only] = encodeBatches([recordOf(1, 'k', 'v')], { maxBatchBytes: 1e6 })
  t.equal(only?.baseSequence, -1)
  t.equal(only?.bytes.readBigInt64BE(batch.PRODUCER_ID), -1n)
  t.equal(only?.bytes.readInt16BE(batch.PRODUCER_EPOCH), -1)
  t.same(encodeBatches([], { maxBatchBytes: 1e6 }), [])
})
