// Batches for the tests of the codec: random records, placed in a log as a broker places them, and those that Kafka's client made.
// test/fixtures/kafka-batches.json was made once by kafka-batches.java beside it, with org.apache.kafka:kafka-clients:4.1.0: the same seven
// records, from offset 40 on, in each compression type (there the last one's value is longer) and by kind of batch.
import { readFileSync } from 'node:fs'
import { crc32c } from '#host/crc32c.js'
import * as batch from '#host/log/kafka/batch.js'
import { encodeBatches, type Sequencing } from '#host/log/kafka/encoding.js'
import type { Header, LogRecord, RecordToAppend } from '#host/log/log.js'
import type { Random } from '#host/log/memory/random.js'

export const place = { topic: 'clicks', partition: 0 }

const made: Record<string, string> = JSON.parse(
  readFileSync('test/fixtures/kafka-batches.json', 'utf8'),
)

/** A copy, which a test may change. */
export function javaBatch(name: string): Buffer {
  return Buffer.from(made[name] ?? '', 'hex')
}

export const recordOf = (
  timestamp: number,
  key: string | null,
  value: string | null,
  headers?: readonly Header[],
): RecordToAppend => ({
  ...place,
  timestamp,
  key: key === null ? null : Buffer.from(key),
  value: value === null ? null : Buffer.from(value),
  ...(headers === undefined ? {} : { headers }),
})

/** What Java was given. Its third header has no value where `isWhole` is false. */
export const javaRecords = (bigBytes: number, isWhole = true): readonly RecordToAppend[] => [
  recordOf(1_700_000_000_000, 'alice', '{"page":"/home"}'),
  recordOf(1_700_000_000_005, null, 'no key'),
  recordOf(1_699_999_999_000, 'bob', null),
  recordOf(1_700_000_500_000, 'grüße 😀', '日本語', [
    ['trace', Buffer.from('abc')],
    ['größe', Buffer.from('')],
    ['trace', Buffer.from(isWhole ? 'x' : '')],
  ]),
  recordOf(1_700_000_000_000, '', ''),
  recordOf(1_800_000_000_000, null, null),
  recordOf(
    1_700_000_000_006,
    'big',
    'abcdefghijklmnopqrstuvwxyz'.repeat(bigBytes).slice(0, bigBytes),
  ),
]

type Shown = Pick<RecordToAppend, 'timestamp' | 'key' | 'value' | 'headers'>

/** As a record is compared. */
export const shown = ({ timestamp, key, value, headers = [] }: Shown) => ({
  timestamp,
  key,
  value,
  headers,
  isTombstone: value === null,
  valueBytes: value?.length ?? 0,
  keyText: key?.toString() ?? '',
  valueText: value?.toString() ?? '',
})

export const shownRead = (record: LogRecord) => ({
  ...shown(record),
  isTombstone: record.isTombstone,
  valueBytes: record.valueBytes,
  keyText: record.keyText(),
  valueText: record.valueText(),
})

/** At an offset, as a broker does it: the checksum does not cover that. */
export function placed(bytes: Buffer, offset: number): Buffer {
  bytes.writeBigInt64BE(BigInt(offset), batch.BASE_OFFSET)
  return bytes
}

/** After a test has changed it. */
export function resealed(bytes: Buffer): Buffer {
  bytes.writeInt32BE(bytes.length - batch.PREFIX_BYTES, batch.LENGTH)
  bytes.writeUInt32BE(crc32c(bytes, batch.ATTRIBUTES), batch.CHECK)
  return bytes
}

export const sequencing = (producerId: number, isTransactional = true): Sequencing => ({
  producerId,
  producerEpoch: 0,
  baseSequence: 0,
  isTransactional,
})

export function oneBatch(
  records: readonly RecordToAppend[],
  offset: number,
  by?: Sequencing,
): Buffer {
  const [only] = encodeBatches(records, {
    maxBatchBytes: 1e9,
    ...(by === undefined ? {} : { sequencing: by }),
  })
  return placed(only?.bytes ?? Buffer.alloc(0), offset)
}

export function marker(kind: 'abort' | 'commit', producerId: number, offset: number): Buffer {
  const record = {
    ...recordOf(0, '', ''),
    key: Buffer.from([0, 0, 0, kind === 'abort' ? 0 : 1]),
    value: Buffer.alloc(6),
  }
  const bytes = oneBatch([record], offset, sequencing(producerId))
  bytes.writeInt16BE(batch.TRANSACTIONAL | batch.CONTROL, batch.ATTRIBUTES)
  return resealed(bytes)
}

const pieces = [
  'a',
  'click',
  '{"n":1}',
  'ü',
  '日本',
  '😀',
  '\u0000',
  ' '.repeat(70),
  'x'.repeat(9000),
]

export function randomRecords(random: Random, count: number): RecordToAppend[] {
  const text = (): string =>
    pieces[random.upTo(pieces.length) - 1]?.repeat(random.upTo(3) - 1) ?? ''
  const bytes = (): Buffer =>
    Buffer.from(Array.from({ length: random.upTo(200) }, () => random.upTo(256) - 1))
  const content = (): Buffer => (random.happens(0.5) ? Buffer.from(text()) : bytes())
  const timestamps = [0, 1, 1_700_000_000_000, Number.MAX_SAFE_INTEGER]
  return Array.from({ length: count }, () => {
    const about = timestamps[random.upTo(timestamps.length) - 1] ?? 0
    return {
      ...place,
      key: random.happens(0.2) ? null : content(),
      value: random.happens(0.2) ? null : content(),
      timestamp: random.happens(0.2) ? about : 1_700_000_000_000 + random.upTo(1e6),
      ...(random.happens(0.3)
        ? {
            headers: Array.from({ length: random.upTo(4) - 1 }, (): Header => [text(), content()]),
          }
        : {}),
    }
  })
}
