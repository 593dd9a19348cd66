// Reads partitions from this thread's own handle, up to the ends that the log thread has published.
import type { Assigned, Ends, Source } from '../assigned-reader.js'
import type { Batch, LogRecord, Position } from '../log.js'
import { unknownTopic } from '../problems.js'
import type { Bell } from './bell.js'
import type { Database } from './database.js'
import type { Directory } from './directory.js'
import { baseOf, entryKey } from './layout.js'
import { countOf, unpackEntry } from './packing.js'
import type { SharedEnds } from './shared-ends.js'

export interface Seat {
  readonly number: number
  readonly slot: number
  /** An entry begins at the position: it needs no search. */
  isAtEntry: boolean
}

const ENTRIES = 4096

export class EmbeddedSource implements Source<Seat> {
  readonly #database: Database
  readonly #directory: Directory
  readonly #shared: SharedEnds
  readonly #bell: Bell
  readonly check: () => void

  constructor(
    database: Database,
    directory: Directory,
    shared: SharedEnds,
    bell: Bell,
    check: () => void,
  ) {
    this.#database = database
    this.#directory = directory
    this.#shared = shared
    this.#bell = bell
    this.check = check
  }

  async find(positions: readonly Position[]): Promise<Seat[]> {
    await this.#directory.learn(positions)
    return positions.map(({ topic, partition, offset }) => ({
      ...this.#directory.place(topic, partition),
      isAtEntry: offset === 0,
    }))
  }

  onNews(hasNews: () => boolean, wake: () => void): () => void {
    return this.#bell.onNews(hasNews, wake)
  }

  hasMoved({ place, position }: Assigned<Seat>): boolean {
    return this.#shared.hasMoved(place.slot, place.number, position)
  }

  ends({ topic, partition, place }: Assigned<Seat>): Ends {
    const ends = this.#shared.read(place.slot, place.number)
    if (ends === undefined) throw unknownTopic(topic, partition)
    return { ...ends, stableEnd: ends.end }
  }

  async read(one: Assigned<Seat>, maxBytes: number): Promise<Batch> {
    const { topic, partition, place, position } = one
    const { stableEnd } = this.ends(one)
    const from = place.isAtEntry ? position : await this.#entryAt(place.number, partition, position)
    const iterator = this.#database.iterator({
      gte: entryKey(place.number, partition, from),
      lt: entryKey(place.number, partition, stableEnd),
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
      if (bytes <= maxBytes && entries.length < ENTRIES) next = stableEnd
    } finally {
      await iterator.close()
    }
    // Removed while it was read: what was found may have holes.
    this.ends(one)
    one.position = next
    place.isAtEntry = true
    return { topic, partition, records, next, stableEnd }
  }

  /** Where the entry begins that holds the position; the position itself when it lies in a gap. */
  async #entryAt(number: number, partition: number, position: number): Promise<number> {
    const [before] = await this.#database
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
