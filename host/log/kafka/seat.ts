// A partition that is read: what was fetched of it and is not taken yet, where to fetch on, and what keeps it from that.
import type { Ends } from '../assigned-reader.js'
import type { Batch, LogRecord, Position, TopicPartition } from '../log.js'
import type { Leader } from './brokers.js'
import { Chunk } from './chunk.js'
import { batchDamaged, logCut } from './problems.js'
import type { Fetched } from './requests/fetch.js'

/** A broker that restarts, or a leader that is elected, is not worth a word. */
export const tellAfterMs = 5_000

/** What was asked for. */
export interface Asked {
  readonly seat: KafkaSeat
  readonly offset: number
  readonly maxBytes: number
  /** The first of its request is answered if there is anything, whatever its size. */
  readonly isFirst: boolean
}

export class KafkaSeat implements TopicPartition {
  readonly topic: string
  readonly partition: number
  readonly topicId: string
  /** Undefined: to be looked up. */
  leader: Leader | undefined
  /** Somebody asks for it already, or it rests. */
  isBusy = false
  /** There was nothing to fetch the last time. */
  isQuiet = false
  /** There was something, but no room for it in the answer. */
  isStarved = false
  /** Its next batch is known to have so many. */
  leastBytes = 0
  /** Since then it has given nothing, and nobody was asked who leads it. */
  quietSince = performance.now()
  /** In a row. */
  failures = 0
  /** Since when the topic is unknown to the brokers. */
  missingSince: number | undefined
  #position: number
  /** Of what lies before the position, and before `next`; −1: not known. */
  #positionEpoch: number
  #next: number
  #lastEpoch: number
  #chunks: Chunk[] = []
  #heldBytes = 0
  #isReadable = true
  #oldest: number
  #stableEnd: number
  #end: number
  #failure: { readonly reason: unknown } | undefined
  #trouble: { readonly reason: unknown; readonly since: number } | undefined

  constructor({ topic, partition, offset, leaderEpoch = -1 }: Position, topicId: string) {
    this.topic = topic
    this.partition = partition
    this.topicId = topicId
    this.#position = offset
    this.#positionEpoch = leaderEpoch
    this.#next = offset
    this.#lastEpoch = leaderEpoch
    this.#oldest = offset
    this.#stableEnd = offset
    this.#end = offset
  }

  /** Behind what was taken. */
  get position(): number {
    return this.#position
  }

  /** Where to fetch on. */
  get next(): number {
    return this.#next
  }

  /** Of the last record before `next`, as far as is known; else −1. */
  get lastEpoch(): number {
    return this.#lastEpoch
  }

  get heldBytes(): number {
    return this.#heldBytes
  }

  get isTroubled(): boolean {
    return this.#trouble !== undefined
  }

  hasRoom(share: number): boolean {
    return this.#failure === undefined && this.#isReadable && this.#heldBytes < share
  }

  /** It can go on being read from there, with what was fetched for it. */
  isAt(offset: number): boolean {
    return this.#failure === undefined && this.#position === offset
  }

  hasNews(): boolean {
    return this.#heldBytes > 0 || this.#failure !== undefined || this.#isTroubleDue()
  }

  /** What is held goes first: it is of no matter any more that it is gone, or cannot be asked for. Throws what keeps it. */
  ends(): Ends {
    const oldest = Math.min(this.#oldest, this.#position)
    // After an election a leader may tell of less than another one had; of what is read it says itself if it has it no more.
    const end = Math.max(this.#end, this.#next)
    if (this.#heldBytes > 0)
      return { oldest, stableEnd: Math.max(this.#stableEnd, this.#next), end }
    if (this.#failure !== undefined) throw this.#failure.reason
    if (this.#trouble !== undefined && this.#isTroubleDue()) {
      const { reason } = this.#trouble
      this.#trouble = { reason, since: performance.now() }
      throw reason
    }
    return { oldest, stableEnd: this.#position, end }
  }

  take(maxBytes: number): Batch {
    const { topic, partition } = this
    const from = this.#position
    let left = maxBytes
    const parts: (readonly LogRecord[])[] = []
    for (let chunk = this.#chunks[0]; chunk !== undefined; chunk = this.#chunks[0]) {
      const { leaderEpoch, bytesLeft: held } = chunk
      if (left <= 0 || (parts.length > 0 && leaderEpoch !== this.#positionEpoch)) break
      try {
        const decoded = chunk.take(this, this.#position, left)
        parts.push(decoded.records)
        this.#position = decoded.next
        this.#positionEpoch = leaderEpoch
        left -= decoded.unpackedBytes
      } catch (thrown) {
        // What lies before it goes first.
        if (this.#position === from) throw thrown
        break
      }
      this.#heldBytes -= held - chunk.bytesLeft
      if (chunk.bytesLeft === 0) this.#chunks.shift()
    }
    const [first = []] = parts
    const records = parts.length > 1 ? parts.flat() : first
    const leaderEpoch = this.#positionEpoch
    return {
      ...{ topic, partition, from, records, next: this.#position, stableEnd: this.#stableEnd },
      ...(leaderEpoch < 0 ? {} : { leaderEpoch }),
    }
  }

  /** Reads from there on, and forgets what it has. */
  restart(position: number, leaderEpoch = -1): void {
    this.#position = position
    this.#positionEpoch = leaderEpoch
    this.#next = position
    this.#lastEpoch = leaderEpoch
    this.#chunks = []
    this.#heldBytes = 0
    this.#isReadable = true
    this.#failure = undefined
    this.leastBytes = 0
  }

  /** An answer without an error. */
  put(answer: Fetched, { offset, maxBytes, isFirst }: Asked): void {
    this.failures = 0
    this.#trouble = undefined
    this.missingSince = undefined
    this.#oldest = answer.oldest
    this.#stableEnd = answer.stableEnd
    this.#end = answer.highWatermark
    if (answer.diverged !== undefined) {
      this.#cut(answer.diverged.end)
      return
    }
    const chunk = new Chunk(answer.batches, offset, answer.aborted)
    const { cutBytes, bytesLeft, lastEpoch } = chunk
    this.isQuiet = answer.batches.length === 0
    this.isStarved = bytesLeft === 0 && offset < answer.stableEnd
    this.leastBytes = 0
    if (bytesLeft > 0) {
      this.#chunks.push(chunk)
      this.#heldBytes += bytesLeft
      this.#next = chunk.next
      this.#isReadable = chunk.isReadable
      if (lastEpoch >= 0) this.#lastEpoch = lastEpoch
    } else if (cutBytes > maxBytes) this.leastBytes = cutBytes
    // The length itself must be wrong: so much would have been sent.
    else if (cutBytes > 0 && isFirst) this.fail(batchDamaged(this, offset))
  }

  /** For good. */
  fail(reason: unknown): void {
    this.#failure = { reason }
  }

  /** It is tried again, and told when that goes on for long. */
  note(reason: unknown, since: number): void {
    this.failures += 1
    this.#trouble = { reason, since: this.#trouble?.since ?? since }
  }

  #isTroubleDue(): boolean {
    return this.#trouble !== undefined && performance.now() - this.#trouble.since >= tellAfterMs
  }

  /** What it had fetched is another leader's, and is not to be read. */
  #cut(end: number): void {
    const position = this.#position
    const isAtPosition = this.#next === position
    this.restart(position, this.#positionEpoch)
    if (isAtPosition || end < position) this.fail(logCut(this, position, Math.min(end, position)))
  }
}
