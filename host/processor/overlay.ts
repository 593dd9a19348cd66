// What a task knows of its table beyond the store: values since the last flush, those in flight, and a bounded cache of settled ones.
import type { Snapshot } from './value.js'

/** `null` is a deleted key. */
export type Held = Snapshot | null

// A Map entry with its key string; counted so that a bound in bytes holds for tiny values too.
const entryOverheadBytes = 64

const sizeOf = (key: string, held: Held): number =>
  entryOverheadBytes + key.length + (held === null ? 0 : held.length)

export class Overlay {
  #current = new Map<string, Held>()
  #currentBytes = 0
  #frozen: ReadonlyMap<string, Held> = new Map()
  readonly #cache: Cache

  constructor(cacheBytes: number) {
    this.#cache = new Cache(cacheBytes)
  }

  /** The newest completed value; undefined: look in the store, and tell `learned`. */
  get(key: string): Held | undefined {
    const current = this.#current.get(key)
    if (current !== undefined) return current
    const frozen = this.#frozen.get(key)
    return frozen === undefined ? this.#cache.get(key) : frozen
  }

  set(key: string, held: Held): void {
    const before = this.#current.get(key)
    if (before !== undefined) this.#currentBytes -= sizeOf(key, before)
    this.#current.set(key, held)
    this.#currentBytes += sizeOf(key, held)
  }

  /** What the store answered. */
  learned(key: string, held: Held): void {
    this.#cache.set(key, held)
  }

  get changedBytes(): number {
    return this.#currentBytes
  }

  /** Takes the changes since the last freeze; they stay readable until `settled`. */
  freeze(): ReadonlyMap<string, Held> {
    this.#frozen = this.#current
    this.#current = new Map()
    this.#currentBytes = 0
    return this.#frozen
  }

  /** The store holds what was frozen: only now may it be forgotten. */
  settled(): void {
    for (const [key, held] of this.#frozen) this.#cache.set(key, held)
    this.#frozen = new Map()
  }
}

/** Two generations: what was used since the last turn survives the next one. Holds only what the store holds too. */
class Cache {
  #young = new Map<string, Held>()
  #old = new Map<string, Held>()
  #youngBytes = 0
  readonly #maxYoungBytes: number

  constructor(maxBytes: number) {
    this.#maxYoungBytes = maxBytes / 2
  }

  get(key: string): Held | undefined {
    const young = this.#young.get(key)
    if (young !== undefined) return young
    const old = this.#old.get(key)
    if (old !== undefined) this.set(key, old)
    return old
  }

  set(key: string, held: Held): void {
    const before = this.#young.get(key)
    if (before !== undefined) this.#youngBytes -= sizeOf(key, before)
    this.#young.set(key, held)
    this.#youngBytes += sizeOf(key, held)
    if (this.#youngBytes <= this.#maxYoungBytes) return
    this.#old = this.#young
    this.#young = new Map()
    this.#youngBytes = 0
  }
}
