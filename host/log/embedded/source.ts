// Reads partitions from this thread's own handle, up to the ends that the log thread has published.
import type { Assigned, Ends, Source } from '../assigned-reader.js'
import type { Batch, LogRecord, Position } from '../log.js'
import { logDamaged, unknownTopic } from '../problems.js'
import type { Bell } from './bell.js'
import { type Database, isCorruption } from './database.js'
import type { Directory } from './directory.js'
import { baseOf, entryKey } from './layout.js'
import { unpackEntry } from './packing.js'
import type { SharedEnds } from './shared-ends.js'

export interface Seat {
  readonly number: number
  readonly slot: number
  /** Where an entry begins, as far as is known: a position there needs no search. */
  entryAt: number
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
    return positions.map(({ topic, partition }) => ({
      ...this.#directory.place(topic, partition),
      entryAt: 0,
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
    try {
      return await this.#read(one, maxBytes)
    } catch (thrown) {
      throw isCorruption(thrown) ? logDamaged(one, one.position, thrown) : thrown
    }
  }

  async #read(one: Assigned<Seat>, maxBytes: number): Promise<Batch> {
    const { topic, partition, place, position } = one
    const { stableEnd } = this.ends(one)
    const isAtEntry = place.entryAt === position
    const from = isAtEntry ? position : await this.#entryAt(place.number, partition, position)
    const iterator = this.#database.iterator({
      gte: entryKey(place.number, partition, from),
      lt: entryKey(place.number, partition, stableEnd),
      highWaterMarkBytes: maxBytes,
    })
    const records: LogRecord[] = []
    let next = from
    try {
      for (const [key, entry] of await iterator.nextv(ENTRIES)) {
        // Entries follow each other without a gap, and LevelDB passes over a block that it cannot read.
        if (baseOf(key) !== next) break
        const behind = unpackEntry(entry, next, position, records)
        if (behind === 'damaged') break
        next = behind
      }
    } finally {
      await iterator.close()
    }
    // Removed while it was read: what was found may have holes.
    this.ends(one)
    // Otherwise what lies before the damage is handed out, and the next read begins with it.
    if (next <= position) throw logDamaged(one, next)
    place.entryAt = next
    return { topic, partition, from: position, records, next, stableEnd }
  }

  /** Where the entry begins that holds the position. */
  async #entryAt(number: number, partition: number, position: number): Promise<number> {
    const [key] = await this.#database
      .keys({
        gte: entryKey(number, partition, 0),
        lte: entryKey(number, partition, position),
        reverse: true,
        limit: 1,
      })
      .all()
    return key === undefined ? position : baseOf(key)
  }
}
