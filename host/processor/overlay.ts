// What a task knows of its table beyond the store: values since the last flush, those in flight, and a bounded cache of settled ones.
import type { Snapshot } from './value.js'

/** `null` is a deleted key. */
export type Held = Snapshot | null

/** A key with its newest value. One object for all of its life here, so that a record costs few look-ups. */
interface Cell {
  readonly key: string
  held: Held
  /** The flush that its last change belongs to; 0: the store has said so. */
  flush: number
}

// A Map entry with its key string; counted so that a bound in bytes holds for tiny values too.
const entryOverheadBytes = 64

const sizeOf = (key: string, held: Held): number =>
  entryOverheadBytes + key.length + (held === null ? 0 : held.length)

/**
 * Two generations: what was used since the last turn survives the next one, and so does what the store does not hold yet: a
 * value that is dirty or in flight is known nowhere else.
 */
export class Overlay {
  readonly #maxYoungBytes: number
  #young = new Map<string, Cell>()
  #old = new Map<string, Cell>()
  #youngBytes = 0
  #turnAtBytes: number
  /** Found last: a record's value is read, then set. */
  #last: Cell | undefined
  /** Changed since the last freeze. */
  #changed: Cell[] = []
  #changedBytes = 0
  /** Of changes from now on, and of those that the store holds. */
  #flush = 1
  #settledFlush = 0

  constructor(cacheBytes: number) {
    this.#maxYoungBytes = cacheBytes / 2
    this.#turnAtBytes = this.#maxYoungBytes
  }

  get changedBytes(): number {
    return this.#changedBytes
  }

  /** The newest completed value; undefined: look in the store, and tell `learned`. */
  get(key: string): Held | undefined {
    return this.#find(key)?.held
  }

  set(key: string, held: Held): void {
    const bytes = sizeOf(key, held)
    const cell = this.#find(key)
    if (cell === undefined) {
      this.#changed.push(this.#add({ key, held, flush: this.#flush }, bytes))
      this.#changedBytes += bytes
      return
    }
    const bytesBefore = sizeOf(key, cell.held)
    this.#youngBytes += bytes - bytesBefore
    if (cell.flush === this.#flush) this.#changedBytes += bytes - bytesBefore
    else {
      this.#changed.push(cell)
      this.#changedBytes += bytes
      cell.flush = this.#flush
    }
    cell.held = held
    this.#turn()
  }

  /** What the store answered. */
  learned(key: string, held: Held): void {
    this.#add({ key, held, flush: 0 }, sizeOf(key, held))
  }

  /** Takes the changes since the last freeze; they stay readable, whatever comes, until `settled`. */
  freeze(): KeyChange[] {
    const frozen = this.#changed.map(({ key, held }): KeyChange => [key, held])
    this.#changed = []
    this.#changedBytes = 0
    this.#flush += 1
    return frozen
  }

  /** The store holds what was frozen: only now may it be forgotten. */
  settled(): void {
    this.#settledFlush = this.#flush - 1
  }

  #find(key: string): Cell | undefined {
    if (this.#last?.key === key) return this.#last
    let cell = this.#young.get(key)
    if (cell === undefined) {
      cell = this.#old.get(key)
      if (cell === undefined) return undefined
      this.#old.delete(key)
      return this.#add(cell, sizeOf(key, cell.held))
    }
    this.#last = cell
    return cell
  }

  #add(cell: Cell, bytes: number): Cell {
    this.#young.set(cell.key, cell)
    this.#youngBytes += bytes
    this.#last = cell
    this.#turn()
    return cell
  }

  #turn(): void {
    if (this.#youngBytes <= this.#turnAtBytes) return
    const forgotten = this.#old
    this.#old = this.#young
    this.#young = new Map()
    this.#youngBytes = 0
    this.#last = undefined
    for (const cell of forgotten.values()) {
      if (cell.flush <= this.#settledFlush) continue
      this.#young.set(cell.key, cell)
      this.#youngBytes += sizeOf(cell.key, cell.held)
    }
    // Else every change would make a turn while more waits for the store than the cache may have.
    this.#turnAtBytes = Math.max(this.#maxYoungBytes, this.#youngBytes * 2)
  }
}

export type KeyChange = readonly [key: string, held: Held]
