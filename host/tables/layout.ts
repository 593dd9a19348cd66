// The keys of a store on disk: a kind, the partition, and for values the record's own key behind both.
// A change here makes stores of older hosts unreadable: raise `storeLayout`, which recovery compares.
import type { RangeOptions } from './store.js'

/** Of the store's keys, its values' checksums and PartitionMeta; another one found means: wipe and replay. */
export const storeLayout = 2

const kinds = { meta: 1, wiping: 2, value: 3 } as const
const prefixBytes = 5
const reusedBytes = 1024

function prefix(kind: number, partition: number): Buffer {
  const key = Buffer.alloc(prefixBytes)
  key.writeUInt8(kind, 0)
  key.writeUInt32BE(partition, 1)
  return key
}

/** All keys of one partition. */
export class PartitionKeys {
  readonly meta: Buffer
  /** There while the partition is being wiped. */
  readonly wiping: Buffer
  readonly #first: Buffer
  readonly #end: Buffer
  readonly #reused = Buffer.alloc(prefixBytes + reusedBytes)
  readonly #reusedByLength: Buffer[] = []

  constructor(partition: number) {
    if (!Number.isInteger(partition) || partition < 0 || partition > 0x7fffffff) {
      throw new TypeError(`a partition is an integer from 0 to 2147483647, not ${partition}`)
    }
    this.meta = prefix(kinds.meta, partition)
    this.wiping = prefix(kinds.wiping, partition)
    this.#first = prefix(kinds.value, partition)
    this.#end = prefix(kinds.value, partition + 1)
    this.#first.copy(this.#reused)
  }

  /** The result is good until the next call: LevelDB copies it, and a new buffer a read would cost more than the copy. */
  value(key: Buffer): Buffer {
    if (key.length > reusedBytes) return Buffer.concat([this.#first, key])
    this.#reused.set(key, prefixBytes)
    let view = this.#reusedByLength[key.length]
    if (view === undefined) {
      view = this.#reused.subarray(0, prefixBytes + key.length)
      this.#reusedByLength[key.length] = view
    }
    return view
  }

  /** The record's key again. */
  own(stored: Buffer): Buffer {
    return stored.subarray(prefixBytes)
  }

  bounds({ from, to }: RangeOptions = {}): { gte: Buffer; lt: Buffer } {
    return {
      gte: from === undefined ? this.#first : Buffer.concat([this.#first, from]),
      lt: to === undefined ? this.#end : Buffer.concat([this.#first, to]),
    }
  }
}
