// Where things lie in the log's database: the keys, and the few values that are no entries.
import { crc32 } from 'node:zlib'

/** Of the keys and values of this file and of entry.ts; raise it with any change of theirs. */
export const LAYOUT = 'millrace log 2'

const META = 0x00
const EPOCH = 0x01
const TOPIC = 0x02
const PARTITION = 0x03
const POSITION = 0x04
const DOOMED = 0x05
const CLEANED = 0x06
const ENTRY = 0x10

export interface Put {
  readonly type: 'put'
  readonly key: Buffer
  readonly value: Buffer
}
export type Operation = Put | { readonly type: 'del'; readonly key: Buffer }

/** Of all but entries. */
export const put = (key: Buffer, value: Buffer): Put => ({
  type: 'put',
  key,
  value: seal(key, value),
})

/** What is stored under a key, with a checksum of both in front: LevelDB gives out what it finds. Entries have their own. */
function seal(key: Buffer, value: Buffer): Buffer {
  return Buffer.concat([u32(crc32(value, crc32(key))), value])
}

/** Undefined: what is stored is damaged. */
export function unseal(key: Buffer, stored: Buffer): Buffer | undefined {
  if (stored.length < 4) return undefined
  const value = stored.subarray(4)
  return stored.readUInt32BE(0) === crc32(value, crc32(key)) ? value : undefined
}

const meta = (name: string): Buffer => Buffer.concat([Buffer.of(META), Buffer.from(name)])

export const layoutKey = meta('layout')
/** The leader epoch of the latest open. */
export const currentEpochKey = meta('epoch')
/** Topic numbers are given once and never again. */
export const nextTopicKey = meta('next-topic')

export const firstOf = (kind: keyof typeof kinds): Buffer => Buffer.of(kinds[kind])
export const behind = (kind: keyof typeof kinds): Buffer => Buffer.of(kinds[kind] + 1)

const kinds = {
  epoch: EPOCH,
  topic: TOPIC,
  partition: PARTITION,
  position: POSITION,
  doomed: DOOMED,
  cleaned: CLEANED,
} as const

export const u32 = (value: number): Buffer => {
  const buffer = Buffer.allocUnsafe(4)
  buffer.writeUInt32BE(value)
  return buffer
}

/** Its value: where each partition that had moved ended when the epoch began. */
export const epochKey = (epoch: number): Buffer => Buffer.concat([Buffer.of(EPOCH), u32(epoch)])
export const epochOf = (key: Buffer): number => key.readUInt32BE(1)

export const topicKey = (name: string): Buffer =>
  Buffer.concat([Buffer.of(TOPIC), Buffer.from(name)])
export const topicNameOf = (key: Buffer): string => key.toString('utf8', 1)

/** A topic that was removed, whose entries are still being deleted. */
export const doomedKey = (topic: number): Buffer => Buffer.concat([Buffer.of(DOOMED), u32(topic)])
export const doomedOf = (key: Buffer): number => key.readUInt32BE(1)

function place(kind: number, topic: number, partition: number): Buffer {
  const key = Buffer.allocUnsafe(9)
  key[0] = kind
  key.writeUInt32BE(topic, 1)
  key.writeUInt32BE(partition, 5)
  return key
}

/** Its value: the oldest offset and the least end, for partitions whose first entries are gone. */
export const partitionKey = (topic: number, partition: number): Buffer =>
  place(PARTITION, topic, partition)

export function packRange(oldest: number, end: number): Buffer {
  const value = Buffer.allocUnsafe(16)
  writeOffset(value, oldest, 0)
  writeOffset(value, end, 8)
  return value
}

/** How far a partition of a table is compacted. */
export interface Cleaned {
  /** The offset behind it. */
  readonly end: number
  /** What it has been reduced to. */
  readonly bytes: number
  /** What had ever been written to the partition up to it. */
  readonly behind: number
  /** When the first of its tombstones was found; 0: it has none. */
  readonly tombstoneAt: number
}

export const cleanedKey = (topic: number, partition: number): Buffer =>
  place(CLEANED, topic, partition)

export function packCleaned({ end, bytes, behind, tombstoneAt }: Cleaned): Buffer {
  const value = Buffer.allocUnsafe(32)
  writeOffset(value, end, 0)
  writeOffset(value, bytes, 8)
  writeOffset(value, behind, 16)
  writeOffset(value, tombstoneAt, 24)
  return value
}

export const unpackCleaned = (value: Buffer): Cleaned => ({
  end: readOffset(value, 0),
  bytes: readOffset(value, 8),
  behind: readOffset(value, 16),
  tombstoneAt: readOffset(value, 24),
})

export const placeOf = (key: Buffer): { topic: number; partition: number } => ({
  topic: key.readUInt32BE(key.length - 8),
  partition: key.readUInt32BE(key.length - 4),
})

export const positionKey = (group: string, topic: number, partition: number): Buffer =>
  Buffer.concat([Buffer.of(POSITION), Buffer.from(group), u32(topic), u32(partition)])
export const groupOf = (key: Buffer): string => key.toString('utf8', 1, key.length - 8)

const PLACE_BYTES = 9
const ENTRY_KEY_BYTES = 17

export function entryKey(topic: number, partition: number, base: number): Buffer {
  const key = Buffer.allocUnsafe(ENTRY_KEY_BYTES)
  key[0] = ENTRY
  key.writeUInt32BE(topic, 1)
  key.writeUInt32BE(partition, 5)
  writeOffset(key, base, 9)
  return key
}
export const baseOf = (key: Buffer): number => readOffset(key, 9)

/** Whether all three are whole keys of entries of one and the same partition. */
export function isWithinPartition(...keys: readonly Buffer[]): boolean {
  const [first] = keys
  return keys.every(
    (key) =>
      key.length === ENTRY_KEY_BYTES &&
      key[0] === ENTRY &&
      first?.compare(key, 0, PLACE_BYTES, 0, PLACE_BYTES) === 0,
  )
}

/** All entries of a topic lie from its first key to this one. */
export const behindTopic = (topic: number): Buffer => entryKey(topic + 1, 0, 0)

// Two halves rather than BigInt: this is on the way of every entry.
export function writeOffset(into: Buffer, offset: number, at: number): void {
  into.writeUInt32BE(Math.floor(offset / 0x1_0000_0000), at)
  into.writeUInt32BE(offset % 0x1_0000_0000, at + 4)
}
export const readOffset = (from: Buffer, at: number): number =>
  from.readUInt32BE(at) * 0x1_0000_0000 + from.readUInt32BE(at + 4)

export const packOffset = (offset: number): Buffer => {
  const value = Buffer.allocUnsafe(8)
  writeOffset(value, offset, 0)
  return value
}

export interface Start {
  readonly topic: number
  readonly partition: number
  readonly offset: number
}

export function packStarts(starts: readonly Start[]): Buffer {
  const value = Buffer.allocUnsafe(starts.length * 16)
  starts.forEach((start, i) => {
    value.writeUInt32BE(start.topic, i * 16)
    value.writeUInt32BE(start.partition, i * 16 + 4)
    writeOffset(value, start.offset, i * 16 + 8)
  })
  return value
}

export function unpackStarts(value: Buffer): Start[] {
  return Array.from({ length: value.length / 16 }, (_, i) => ({
    topic: value.readUInt32BE(i * 16),
    partition: value.readUInt32BE(i * 16 + 4),
    offset: readOffset(value, i * 16 + 8),
  }))
}
