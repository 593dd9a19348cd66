// A partition of a table that is there with fewer records: what is missing has to be superseded, and nothing else may be otherwise.
import { crc32 } from 'node:zlib'
import type { Log, LogRecord } from '../log/log.js'
import type { Patience } from './patience.js'
import { isSameRecord, recordChecksum } from './record-digest.js'
import { type ReadingOptions, recordsOf } from './stretches.js'

interface Ends {
  readonly from: number
  readonly to: number
}

export interface TableCheckOptions {
  readonly source: Log
  readonly target: Log
  readonly from: Ends
  readonly to: Ends
  /** In the source. */
  readonly positions: readonly number[]
  readonly readBytes: number
  readonly keyBytes: number
  readonly patience: Patience
  readonly signal: AbortSignal
}

export type TableCheck =
  | { readonly problem: string }
  /** The position in the target for each of the source: of the first record that is there and was not read. */
  | { readonly places: ReadonlyMap<number, number> }

/** Beside the key itself: its entry in the map, and two checksums. */
const entryBytes = 300

export async function compareTable(
  topic: string,
  partition: number,
  options: TableCheckOptions,
): Promise<TableCheck> {
  const { source, target, readBytes, patience, signal } = options
  const reading = (log: Log): ReadingOptions => ({ log, readBytes, patience, signal })
  const sides: Sides = {
    source: () => recordsOf(reading(source), { topic, partition, ...options.from }),
    target: () => recordsOf(reading(target), { topic, partition, ...options.to }),
  }
  const places = await follow(sides, options)
  if (places === undefined) {
    return { problem: 'some are not from here, or in another order' }
  }
  const key = await wrongKey(sides, options.keyBytes)
  if (key === undefined) return { places }
  return { problem: `the last record of the key ${JSON.stringify(key)} is not there` }
}

interface Sides {
  source(): AsyncGenerator<readonly LogRecord[]>
  target(): AsyncGenerator<readonly LogRecord[]>
}

/** Undefined: the target's records are not some of the source's, in its order. */
async function follow(
  sides: Sides,
  { positions, to }: TableCheckOptions,
): Promise<Map<number, number> | undefined> {
  const places = new Map<number, number>()
  // The least last: it is taken from the end.
  const left = [...positions].sort((a, b) => b - a)
  const there = new Peeked(sides.target())
  await there.advance()
  for await (const records of sides.source()) {
    for (const record of records) {
      const next = there.record
      if (next === undefined || !isSameRecord(record, next, 'table')) continue
      for (let at = left.at(-1); at !== undefined && at <= record.offset; at = left.at(-1)) {
        places.set(at, next.offset)
        left.pop()
      }
      if (!there.step()) await there.advance()
    }
  }
  if (there.record !== undefined) return undefined
  for (const at of left) places.set(at, to.to)
  return places
}

/** The record that is next, of batches. */
class Peeked {
  readonly #batches: AsyncGenerator<readonly LogRecord[]>
  #records: readonly LogRecord[] = []
  #at = 0

  constructor(batches: AsyncGenerator<readonly LogRecord[]>) {
    this.#batches = batches
  }

  get record(): LogRecord | undefined {
    return this.#records[this.#at]
  }

  /** False: the batch is over, or all of it. */
  step(): boolean {
    this.#at++
    return this.#at < this.#records.length
  }

  async advance(): Promise<void> {
    this.#at = 0
    this.#records = []
    while (this.#records.length === 0) {
      const next = await this.#batches.next()
      if (next.done === true) return
      this.#records = next.value
    }
  }
}

interface Last {
  /** Of the source's last record of the key. */
  wanted: string
  isDeleted: boolean
  found: string | undefined
}

const hashes = 2 ** 32

/**
 * A key whose last record is another one there. A deletion need not be there if nothing else of its key is. The keys of a pass are
 * those whose hash lies in a range, which is made smaller when they take more than `keyBytes`.
 */
async function wrongKey(sides: Sides, keyBytes: number): Promise<string | undefined> {
  for (let low = 0, high = hashes; low < hashes; low = high, high = hashes) {
    const lasts = new Map<string, Last>()
    let bytes = 0
    const isMeant = (key: Buffer): boolean => {
      const hash = crc32(key)
      return hash >= low && hash < high
    }
    for await (const records of sides.source()) {
      for (const record of records) {
        const { key } = record
        if (key === null || !isMeant(key)) continue
        const name = key.toString('latin1')
        if (!lasts.has(name)) bytes += entryBytes + key.length
        const wanted = recordChecksum(record, 'table')
        lasts.set(name, { wanted, isDeleted: record.isTombstone, found: undefined })
        while (bytes > keyBytes && high - low > 1) {
          high = low + Math.ceil((high - low) / 2)
          for (const other of lasts.keys()) {
            if (isMeant(Buffer.from(other, 'latin1'))) continue
            lasts.delete(other)
            bytes -= entryBytes + other.length
          }
        }
      }
    }
    for await (const records of sides.target()) {
      for (const record of records) {
        const { key } = record
        if (key === null || !isMeant(key)) continue
        const last = lasts.get(key.toString('latin1'))
        if (last !== undefined) last.found = recordChecksum(record, 'table')
      }
    }
    for (const [name, { wanted, isDeleted, found }] of lasts) {
      if (found === wanted || (isDeleted && found === undefined)) continue
      return Buffer.from(name, 'latin1').toString('utf8')
    }
  }
  return undefined
}
