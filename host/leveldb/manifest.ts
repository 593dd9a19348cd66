// What MANIFEST says of a database: which files belong to it.
import { Cursor } from './varint.js'

export interface Manifest {
  /** Table files and their sizes, by number. */
  readonly tables: ReadonlyMap<number, number>
  /** Journals of this number and above hold what is not in a table yet. */
  readonly journal: number
}

const tags = {
  comparator: 1,
  journal: 2,
  nextFile: 3,
  lastSequence: 4,
  compactPointer: 5,
  deletedFile: 6,
  newFile: 7,
  previousJournal: 9,
} as const

/** Throws on what is none. */
export function readManifest(records: readonly Buffer[]): Manifest {
  const tables = new Map<number, number>()
  let journal = 0
  for (const record of records) {
    const cursor = new Cursor(record)
    while (!cursor.isAtEnd) {
      const tag = cursor.varint()
      switch (tag) {
        case tags.comparator:
          cursor.string()
          break
        case tags.journal:
          journal = cursor.varint()
          break
        case tags.nextFile:
        case tags.lastSequence:
        case tags.previousJournal:
          cursor.varint()
          break
        case tags.compactPointer:
          cursor.varint()
          cursor.string()
          break
        case tags.deletedFile:
          cursor.varint()
          tables.delete(cursor.varint())
          break
        case tags.newFile: {
          cursor.varint()
          const number = cursor.varint()
          tables.set(number, cursor.varint())
          cursor.string()
          cursor.string()
          break
        }
        default:
          throw new RangeError(`a record of the unknown kind ${tag}`)
      }
    }
  }
  return { tables, journal }
}
