// Reads partitions from this thread's own handle, up to the ends that the log thread has published.
import type { Assigned, Ends, Source } from '../assigned-reader.js'
import type { Batch, LogRecord, Position } from '../log.js'
import { logDamaged, outOfRange, unknownTopic } from '../problems.js'
import type { Bell } from './bell.js'
import { type Database, isCorruption, readRow, type Snapshot } from './database.js'
import type { Directory } from './directory.js'
import { baseOf, entryKey, partitionKey, readOffset } from './layout.js'
import type { SharedEnds } from './shared-ends.js'
import { unpackEntry } from './unpacking.js'

export interface Seat {
  readonly number: number
  readonly slot: number
  /** Where an entry begins, as far as is known: a position there needs no search. */
  entryAt: number
}

interface Range {
  readonly stableEnd: number
  readonly maxBytes: number
  readonly records: LogRecord[]
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
    const range: Range = { stableEnd, maxBytes, records: [] }
    let next = position
    if (place.entryAt === position) next = await this.#entries(one, position, range)
    // Maintenance may have moved the borders of entries since, or the one that begins there is damaged.
    if (next <= position) next = await this.#search(one, range)
    // Removed while it was read: what was found may have holes.
    this.ends(one)
    place.entryAt = next
    return { topic, partition, from: position, records: range.records, next, stableEnd }
  }

  /** From where an entry begins; the offset behind what it could read. */
  async #entries(
    { partition, place, position }: Assigned<Seat>,
    from: number,
    { stableEnd, maxBytes, records }: Range,
    snapshot?: Snapshot,
  ): Promise<number> {
    const iterator = this.#database.iterator({
      gte: entryKey(place.number, partition, from),
      lt: entryKey(place.number, partition, stableEnd),
      highWaterMarkBytes: maxBytes,
      snapshot,
    })
    let next = from
    try {
      for (const [key, entry] of await iterator.nextv(ENTRIES)) {
        // Entries follow each other without a gap, and LevelDB passes over a block that it cannot read.
        if (baseOf(key) !== next) break
        const behind = unpackEntry(key, entry, next, position, records)
        if (behind === 'damaged') break
        next = behind
      }
    } finally {
      await iterator.close()
    }
    return next
  }

  /** All in one snapshot: what is missing there is damaged, or has expired. */
  async #search(one: Assigned<Seat>, range: Range): Promise<number> {
    const { partition, place, position } = one
    await using snapshot = this.#database.snapshot()
    const [key] = await this.#database
      .keys({
        gte: entryKey(place.number, partition, 0),
        lte: entryKey(place.number, partition, position),
        reverse: true,
        limit: 1,
        snapshot,
      })
      .all()
    const from = key === undefined ? position : baseOf(key)
    const next = await this.#entries(one, from, range, snapshot)
    // Otherwise what lies before the damage is handed out, and the next read begins with it.
    if (next > position) return next
    this.ends(one)
    const at = partitionKey(place.number, partition)
    const stored = await readRow(this.#database, at, snapshot)
    const oldest = stored === undefined ? 0 : readOffset(stored, 0)
    throw position < oldest
      ? outOfRange(one, position, oldest, range.stableEnd)
      : logDamaged(one, next)
  }
}
