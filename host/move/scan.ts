// Reads a topic from end to end: counts, checksums, and which record follows each position.
import type { TopicInfo, TopicKind, TopicPartition } from '../log/log.js'
import { RecordDigest } from './record-digest.js'
import { type ReadingOptions, readStretches } from './stretches.js'

export interface PartitionScan {
  readonly count: number
  /** Of keys and values. */
  readonly bytes: number
  readonly checksum: string
  /** The offset of the last record older than `olderThan`; −1: there is none. */
  readonly lastOld: number
  /** How many records lie before each position that was given. */
  readonly before: ReadonlyMap<number, number>
  /** The offset of each record that was asked for by its number from 0. */
  readonly offsets: ReadonlyMap<number, number>
}

/** Of each topic, by name. */
export type Scans = ReadonlyMap<string, readonly PartitionScan[]>

export interface ScanOptions extends ReadingOptions {
  readonly kind: TopicKind
  /** Milliseconds since 1970. */
  readonly olderThan?: number
  /** Of a partition: positions whose place among the records is wanted. */
  positions?(partition: number): Iterable<number>
  /** Of a partition: numbers of records whose offset is wanted. */
  numbers?(partition: number): Iterable<number>
  /** Records of the beginning that are left out of account. */
  skip?(partition: number): number
  /** Offsets and records that were passed. */
  moved(offsets: number, records: number): void
}

/** Of each partition, in order. */
export async function scanTopic(info: TopicInfo, options: ScanOptions): Promise<PartitionScan[]> {
  const { name } = info
  const scans = info.partitions.map(({ partition }) => new RunningScan(partition, options))
  const stretches = info.partitions.map(({ partition, oldest, stableEnd }) => ({
    topic: name,
    partition,
    from: oldest,
    to: stableEnd,
  }))
  await readStretches(options, stretches, (batches) => {
    for (const batch of batches) {
      scans[batch.partition]?.add(batch)
      options.moved(batch.next - batch.from, batch.records.length)
    }
    return true
  })
  return scans.map((scan) => scan.end())
}

/** What a topic has from its first offset to its last, gaps included. */
export const offsetsOf = ({ partitions }: Pick<TopicInfo, 'partitions'>): number =>
  partitions.reduce((sum, { oldest, stableEnd }) => sum + stableEnd - oldest, 0)

class RunningScan {
  readonly #digest: RecordDigest
  readonly #olderThan: number
  readonly #positions: number[]
  readonly #numbers: ReadonlySet<number>
  readonly #before = new Map<number, number>()
  readonly #offsets = new Map<number, number>()
  #skip: number
  #count = 0
  #bytes = 0
  #lastOld = -1

  constructor(partition: TopicPartition['partition'], options: ScanOptions) {
    const { kind, olderThan = Number.NEGATIVE_INFINITY, positions, numbers, skip } = options
    this.#digest = new RecordDigest(kind)
    this.#olderThan = olderThan
    // The least last: it is taken from the end.
    this.#positions = [...(positions?.(partition) ?? [])].sort((a, b) => b - a)
    this.#numbers = new Set(numbers?.(partition))
    this.#skip = skip?.(partition) ?? 0
  }

  add({ records }: Parameters<Parameters<typeof readStretches>[2]>[0][number]): void {
    for (const record of records) {
      if (this.#skip > 0) {
        this.#skip--
        continue
      }
      const { offset } = record
      this.#pass(offset)
      if (this.#numbers.has(this.#count)) this.#offsets.set(this.#count, offset)
      if (record.timestamp < this.#olderThan) this.#lastOld = offset
      this.#count++
      this.#bytes += record.valueBytes + (record.key?.length ?? 0)
      this.#digest.add(record)
    }
  }

  end(): PartitionScan {
    this.#pass(Number.POSITIVE_INFINITY)
    return {
      count: this.#count,
      bytes: this.#bytes,
      checksum: this.#digest.end(),
      lastOld: this.#lastOld,
      before: this.#before,
      offsets: this.#offsets,
    }
  }

  /** Positions up to the next record: as many records lie before each as were counted. */
  #pass(offset: number): void {
    for (;;) {
      const position = this.#positions.at(-1)
      if (position === undefined || position > offset) return
      this.#before.set(position, this.#count)
      this.#positions.pop()
    }
  }
}
