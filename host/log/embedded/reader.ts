// Reads partitions from this thread's own handle, up to the ends that the log thread has published.
import type { Batch, LogReader, LogRecord, Position, TopicPartition } from '../log.js'
import { outOfRange, unknownTopic } from '../problems.js'
import type { Bell } from './bell.js'
import type { Database } from './database.js'
import type { Directory, Place } from './directory.js'
import { baseOf, entryKey } from './layout.js'
import { countOf, unpackEntry } from './packing.js'
import type { Ends, SharedEnds } from './shared-ends.js'

export interface ReaderParts {
  readonly database: Database
  readonly directory: Directory
  readonly ends: SharedEnds
  readonly bell: Bell
  /** Throws when the log is closed or has failed. */
  readonly check: () => void
  readonly closed: (reader: EmbeddedReader) => void
}

interface Assigned extends TopicPartition {
  position: number
  /** An entry begins at the position: it needs no search. */
  atEntry: boolean
  place?: Place
  isPaused: boolean
}

/** Partitions read side by side; more only makes each one's share small. */
const WIDTH = 16
const LEAST_SHARE = 16 * 1024
const ENTRIES = 4096

export class EmbeddedReader implements LogReader {
  readonly #parts: ReaderParts
  readonly #maxBytes: number
  #assigned: Assigned[] = []
  #turn = 0
  #isClosed = false
  #isInterrupted = false
  #wakeUp = (): void => {}
  #reading: Promise<unknown> | undefined

  constructor(parts: ReaderParts, maxBytes: number) {
    this.#parts = parts
    this.#maxBytes = maxBytes
  }

  assign(positions: readonly Position[]): void {
    this.#assigned = positions.map(({ topic, partition, offset }) => ({
      topic,
      partition,
      position: offset,
      atEntry: offset === 0,
      isPaused: false,
    }))
    this.wake()
  }

  pause(partition: TopicPartition): void {
    for (const found of this.#find(partition)) found.isPaused = true
  }

  resume(partition: TopicPartition): void {
    for (const found of this.#find(partition)) found.isPaused = false
    this.#wakeUp()
  }

  wake(): void {
    this.#isInterrupted = true
    this.#wakeUp()
  }

  async next(): Promise<readonly Batch[]> {
    this.#parts.check()
    this.#isInterrupted = false
    const reading = this.#next()
    this.#reading = reading
    return await reading
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    this.wake()
    // Closing the database would end its iterators with an error.
    await this.#reading?.catch(() => {})
    this.#parts.closed(this)
  }

  #find({ topic, partition }: TopicPartition): Assigned[] {
    return this.#assigned.filter((one) => one.topic === topic && one.partition === partition)
  }

  async #next(): Promise<readonly Batch[]> {
    const assigned = this.#assigned
    if (assigned.some(({ place }) => place === undefined)) {
      await this.#parts.directory.learn(assigned)
      for (const one of assigned) one.place = this.#parts.directory.place(one.topic, one.partition)
    }
    while (!this.#isClosed && !this.#isInterrupted) {
      this.#parts.check()
      const ready = this.#ready(assigned)
      if (ready.length > 0) return await this.#read(ready)
      await new Promise<void>((resolve) => {
        const forget = this.#parts.bell.onNews(() => this.#hasMoved(assigned), resolve)
        this.#wakeUp = () => {
          forget()
          resolve()
        }
      })
      this.#wakeUp = () => {}
    }
    return []
  }

  #hasMoved(assigned: readonly Assigned[]): boolean {
    return assigned.some(
      ({ isPaused, place, position }) =>
        !isPaused &&
        place !== undefined &&
        this.#parts.ends.hasMoved(place.slot, place.number, position),
    )
  }

  #ends(one: Assigned): Ends {
    const { place, position } = one
    const ends = place && this.#parts.ends.read(place.slot, place.number)
    if (ends === undefined) {
      this.#parts.directory.forget([one])
      throw unknownTopic(one.topic, one.partition)
    }
    if (position < ends.oldest || position > ends.end) {
      throw outOfRange(one, position, ends.oldest, ends.end)
    }
    return ends
  }

  #ready(assigned: readonly Assigned[]): Assigned[] {
    return assigned.filter((one) => !one.isPaused && one.position < this.#ends(one).end)
  }

  async #read(ready: readonly Assigned[]): Promise<readonly Batch[]> {
    const width = Math.min(WIDTH, ready.length)
    const first = this.#turn % ready.length
    this.#turn = first + width
    const share = Math.max(LEAST_SHARE, Math.floor(this.#maxBytes / width))
    const chosen = [...ready.slice(first), ...ready.slice(0, first)].slice(0, width)
    return await Promise.all(chosen.map(async (one) => this.#readOne(one, share)))
  }

  async #readOne(one: Assigned, maxBytes: number): Promise<Batch> {
    const { topic, partition, place, position } = one
    const number = place?.number ?? 0
    const { end } = this.#ends(one)
    const from = one.atEntry ? position : await this.#entryAt(number, partition, position)
    const iterator = this.#parts.database.iterator({
      gte: entryKey(number, partition, from),
      lt: entryKey(number, partition, end),
      highWaterMarkBytes: maxBytes,
    })
    const records: LogRecord[] = []
    let next = position
    let bytes = 0
    try {
      const entries = await iterator.nextv(ENTRIES)
      for (const [key, entry] of entries) {
        next = unpackEntry(entry, baseOf(key), position, records)
        bytes += key.length + entry.length
      }
      // All there is was read: what lies behind the last entry is a gap.
      if (bytes <= maxBytes && entries.length < ENTRIES) next = end
    } finally {
      await iterator.close()
    }
    // What went away while it was read has left holes.
    this.#ends(one)
    one.position = next
    one.atEntry = true
    return { topic, partition, records, next, stableEnd: end }
  }

  /** Where the entry begins that holds the position, or the next one when it lies in a gap. */
  async #entryAt(number: number, partition: number, position: number): Promise<number> {
    const [before] = await this.#parts.database
      .iterator({
        gte: entryKey(number, partition, 0),
        lte: entryKey(number, partition, position),
        reverse: true,
        limit: 1,
      })
      .all()
    if (before === undefined) return position
    const base = baseOf(before[0])
    return base + countOf(before[1]) > position ? base : position
  }
}
