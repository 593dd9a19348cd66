// Record batches of a partition as they were fetched, to be decoded a few at a time, when somebody wants them.
import type { TopicPartition } from '../log.js'
import * as batch from './batch.js'
import { type AbortedTransaction, type Decoded, decodeBatches, OpenAborts } from './decoding.js'

/** Batches in a row of one leader epoch. */
interface Run {
  readonly leaderEpoch: number
  /** Behind the last byte. */
  end: number
}

interface Head {
  readonly bytes: number
  readonly leaderEpoch: number
  /** The offset behind it. */
  readonly next: number
}

export class Chunk {
  /** Behind the last whole batch. */
  readonly next: number
  /** Of the last whole batch; −1: there is none. */
  readonly lastEpoch: number
  /** What a batch has that was cut off; 0: none was. */
  readonly cutBytes: number = 0
  /** False: behind `next` lies what cannot be read. Decoding tells why. */
  readonly isReadable: boolean = true
  readonly #bytes: Buffer
  readonly #aborts: OpenAborts
  readonly #runs: Run[] = []
  #at = 0

  constructor(bytes: Buffer, from: number, aborted: readonly AbortedTransaction[]) {
    this.#aborts = new OpenAborts(aborted)
    this.next = from
    let at = 0
    while (at < bytes.length) {
      const found = headAt(bytes, at)
      if (found === 'unreadable') {
        this.isReadable = false
        at = bytes.length
        this.#add(at, this.#runs.at(-1)?.leaderEpoch ?? -1)
      } else if (typeof found === 'number') {
        this.cutBytes = found
        break
      } else {
        this.next = Math.max(this.next, found.next)
        at += found.bytes
        this.#add(at, found.leaderEpoch)
      }
    }
    this.lastEpoch = this.#runs.at(-1)?.leaderEpoch ?? -1
    this.#bytes = own(bytes.subarray(0, at))
  }

  get bytesLeft(): number {
    return this.#bytes.length - this.#at
  }

  /** Of what is taken next. */
  get leaderEpoch(): number {
    return this.#run?.leaderEpoch ?? -1
  }

  /** One batch at least, and about so many bytes, not compressed, of one leader epoch. Throws as `decodeBatches` does, each time again. */
  take(partition: TopicPartition, from: number, maxBytes: number): Decoded {
    const left = this.#bytes.subarray(this.#at, this.#run?.end)
    const decoded = decodeBatches(partition, left, from, this.#aborts, maxBytes)
    this.#at += decoded.readBytes
    return decoded
  }

  get #run(): Run | undefined {
    return this.#runs.find(({ end }) => end > this.#at)
  }

  #add(end: number, leaderEpoch: number): void {
    const run = this.#runs.at(-1)
    if (run?.leaderEpoch === leaderEpoch) run.end = end
    else this.#runs.push({ end, leaderEpoch })
  }
}

/** What is not taken for long does not keep the others of its answer in memory. */
const own = (bytes: Buffer): Buffer =>
  bytes.length * 2 < bytes.buffer.byteLength ? Buffer.from(bytes) : bytes

/** A number: it was cut off, and has so many bytes at least. */
function headAt(bytes: Buffer, at: number): Head | number | 'unreadable' {
  const left = bytes.length - at
  if (left < batch.PREFIX_BYTES) return batch.PREFIX_BYTES
  const size = batch.PREFIX_BYTES + bytes.readInt32BE(at + batch.LENGTH)
  if (size < batch.MAGIC_END) return 'unreadable'
  if (left < size) return size
  if (size < batch.BATCH_HEAD_BYTES || bytes[at + batch.MAGIC] !== batch.VERSION) {
    return 'unreadable'
  }
  const base = Number(bytes.readBigInt64BE(at + batch.BASE_OFFSET))
  const next = base + bytes.readInt32BE(at + batch.LAST_OFFSET_DELTA) + 1
  if (!Number.isSafeInteger(base) || base < 0) return 'unreadable'
  return { bytes: size, leaderEpoch: bytes.readInt32BE(at + batch.LEADER_EPOCH), next }
}
