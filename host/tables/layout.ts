// The keys of a store on disk: a kind, of whose table if it is a copy, the partition, and for values the record's own key behind them.
// A change here makes stores of older hosts unreadable: raise `storeLayout`, which recovery compares.
import type { RangeOptions } from './store.js'

/** Of the store's keys, its values' checksums and PartitionMeta; another one found means: wipe and replay. */
export const storeLayout = 2

const kinds = { meta: 1, wiping: 2, value: 3 } as const
/** Added to the kind: of another table's copy, whose topic is named behind it. */
const copied = 3
const reusedBytes = 1024

function prefix(kind: number, partition: number, topic?: string): Buffer {
  const number = Buffer.alloc(4)
  number.writeUInt32BE(partition)
  if (topic === undefined) return Buffer.concat([Buffer.of(kind), number])
  const name = Buffer.from(topic)
  return Buffer.concat([Buffer.of(kind + copied, name.length), name, number])
}

/** Which keys tell of copies, and of which table each of them is. */
export const copies = {
  bounds: { gte: Buffer.of(kinds.meta + copied), lt: Buffer.of(kinds.value + copied) },
  of(key: Buffer): { readonly topic: string; readonly partition: number } {
    const end = 2 + key.readUInt8(1)
    return { topic: key.toString('utf8', 2, end), partition: key.readUInt32BE(end) }
  },
} as const

/** All keys of one partition. */
export class PartitionKeys {
  readonly meta: Buffer
  /** There while the partition is being wiped. */
  readonly wiping: Buffer
  readonly #first: Buffer
  readonly #end: Buffer
  readonly #prefixBytes: number
  readonly #reused: Buffer
  readonly #reusedByLength: Buffer[] = []

  /** `topic`: of a copy of the table that is kept there. */
  constructor(partition: number, topic?: string) {
    if (!Number.isInteger(partition) || partition < 0 || partition > 0x7fffffff) {
      throw new TypeError(`a partition is an integer from 0 to 2147483647, not ${partition}`)
    }
    this.meta = prefix(kinds.meta, partition, topic)
    this.wiping = prefix(kinds.wiping, partition, topic)
    this.#first = prefix(kinds.value, partition, topic)
    this.#end = prefix(kinds.value, partition + 1, topic)
    this.#prefixBytes = this.#first.length
    this.#reused = Buffer.alloc(this.#prefixBytes + reusedBytes)
    this.#first.copy(this.#reused)
  }

  /** The result is good until the next call: LevelDB copies it, and a new buffer a read would cost more than the copy. */
  value(key: Buffer): Buffer {
    if (key.length > reusedBytes) return Buffer.concat([this.#first, key])
    this.#reused.set(key, this.#prefixBytes)
    let view = this.#reusedByLength[key.length]
    if (view === undefined) {
      view = this.#reused.subarray(0, this.#prefixBytes + key.length)
      this.#reusedByLength[key.length] = view
    }
    return view
  }

  /** The record's key again. */
  own(stored: Buffer): Buffer {
    return stored.subarray(this.#prefixBytes)
  }

  bounds({ from, to }: RangeOptions = {}): { gte: Buffer; lt: Buffer } {
    return {
      gte: from === undefined ? this.#first : Buffer.concat([this.#first, from]),
      lt: to === undefined ? this.#end : Buffer.concat([this.#first, to]),
    }
  }
}
