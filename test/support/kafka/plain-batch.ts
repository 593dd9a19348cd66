// A record batch as Kafka's documentation has it, for tests of requests: without compression, with values only.
import { Crc32c } from '#host/leveldb/crc32c.js'

export interface PlainBatch {
  readonly values: readonly string[]
  /** Default: now. A broker keeps what lies years apart in files of their own, and a Fetch reads one of them. */
  readonly timestamp?: number
  readonly producerId?: number
  readonly producerEpoch?: number
  readonly sequence?: number
  readonly isTransactional?: boolean
}

const headBytes = 61
const checkedFrom = 21

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value < 0 ? -value * 2 - 1 : value * 2
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
  return Buffer.from([...bytes, rest])
}

function record(value: string, offsetDelta: number): Buffer {
  const attributes = Buffer.alloc(1)
  const [timestampDelta, noKey, noHeaders] = [varint(0), varint(-1), varint(0)]
  const bytes = Buffer.from(value)
  const body = [attributes, timestampDelta, varint(offsetDelta), noKey]
  const content = Buffer.concat([...body, varint(bytes.length), bytes, noHeaders])
  return Buffer.concat([varint(content.length), content])
}

export function plainBatch(given: PlainBatch): Buffer {
  const { values, timestamp = Date.now(), isTransactional = false } = given
  const { producerId = -1, producerEpoch = -1, sequence = -1 } = given
  const batch = Buffer.concat([Buffer.alloc(headBytes), ...values.map(record)])
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt32BE(-1, 12)
  batch.writeInt8(2, 16)
  batch.writeInt16BE(isTransactional ? 0x10 : 0, 21)
  batch.writeInt32BE(values.length - 1, 23)
  batch.writeBigInt64BE(BigInt(timestamp), 27)
  batch.writeBigInt64BE(BigInt(timestamp), 35)
  batch.writeBigInt64BE(BigInt(producerId), 43)
  batch.writeInt16BE(producerEpoch, 51)
  batch.writeInt32BE(sequence, 53)
  batch.writeInt32BE(values.length, 57)
  batch.writeUInt32BE(new Crc32c().of(batch, checkedFrom, batch.length), 17)
  return batch
}

/** What lies in a partition: of each batch its first offset, count, and whether it is a marker of a transaction. */
export function batchHeads(bytes: Buffer): { offset: number; count: number; isMarker: boolean }[] {
  const heads = []
  for (let at = 0; at + headBytes <= bytes.length; at += 12 + bytes.readInt32BE(at + 8)) {
    heads.push({
      offset: Number(bytes.readBigInt64BE(at)),
      count: bytes.readInt32BE(at + 57),
      isMarker: (bytes.readInt16BE(at + 21) & 0x20) !== 0,
    })
  }
  return heads
}
