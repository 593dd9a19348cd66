// What waits to be appended to one partition, and the batches of it that are on their way, in order.
import { keyOf, type RecordToAppend, type TopicPartition } from '../log.js'
import { type AppendPart, bytesInBatch, perhapsWritten } from './append-call.js'
import { BATCH_HEAD_BYTES } from './batch.js'
import type { Brokers } from './brokers.js'
import { type EncodedBatch, encodeBatches, sequenceAfter } from './encoding.js'
import { isMoved, kafkaErrors } from './error-codes.js'
import { refused } from './problems.js'
import { maxInFlight } from './producing.js'
import type { Producer } from './requests/init-producer-id.js'
import type { Produced } from './requests/produce.js'
import {
  isFence,
  isSequenceError,
  isTooLarge,
  isWorthRepeating,
  refusedBatch,
  tooLargeForTopic,
} from './trouble.js'
import type { KafkaWriteSettings } from './write-settings.js'

/** While a batch is on its way so much is gathered for the next one. */
const gatheredBytes = 64 * 1024
/** The last one that a producer may have. */
const maxEpoch = 32_767

export interface AppendBatch {
  readonly encoded: EncodedBatch
  readonly parts: readonly AppendPart[]
  /** Sent, and not certainly refused. */
  isPerhapsWritten: boolean
  /** It was so already when it was sent last. */
  wasPerhapsWritten: boolean
  isWritten: boolean
  failure: Failure | undefined
}

type Failure = Pick<Produced, 'error' | 'message'> | 'lost'

/** `anew`: as a later epoch of its producer; nothing of what is left was written. `smaller`: so too, at once. */
export type Recovery = 'again' | 'moved' | 'anew' | 'smaller'

export class AppendLane implements TopicPartition {
  readonly topic: string
  readonly partition: number
  /** For what is told of what they refuse. */
  readonly #brokers: Brokers
  readonly #compression: KafkaWriteSettings['compression']
  #batchBytes: number
  #waiting: AppendPart[] = []
  #waitingBytes = 0
  /** Not acknowledged. Those before `#next` were sent. */
  #batches: AppendBatch[] = []
  #next = 0
  #inFlight = 0
  #isStalled = false
  #producer: Producer | undefined
  #sequence = 0
  /** As in `Lane`. */
  #isProven = false
  /** Of its leader, once that was looked up. */
  node: number | undefined
  isBusy = false
  failures = 0
  /** The partition may know a producer of its. */
  hasBegun = false

  constructor(at: TopicPartition, settings: KafkaWriteSettings, brokers: Brokers) {
    this.topic = at.topic
    this.partition = at.partition
    this.#brokers = brokers
    this.#compression = settings.compression
    this.#batchBytes = settings.maxBatchBytes
  }

  get key(): string {
    return keyOf(this)
  }

  get hasWork(): boolean {
    return this.#waiting.length > 0 || this.#batches.length > this.#next
  }

  get hasProducer(): boolean {
    return this.#producer !== undefined
  }

  push(part: AppendPart): void {
    this.#waiting.push(part)
    this.#waitingBytes += part.bytes
  }

  begin(producer: Producer): void {
    this.#producer = producer
    this.hasBegun = true
    this.#sequence = 0
    this.#isProven = false
  }

  /** The next batch to send, if it is its turn. */
  take(): AppendBatch | undefined {
    if (this.#isStalled || this.#inFlight >= (this.#isProven ? maxInFlight : 1)) return undefined
    let batch = this.#batches[this.#next]
    if (batch === undefined) {
      if (this.#inFlight > 0 && this.#waitingBytes < gatheredBytes) return undefined
      batch = this.#make()
      if (batch === undefined) return undefined
      this.#batches.push(batch)
    }
    this.#next++
    this.#inFlight++
    batch.wasPerhapsWritten = batch.isPerhapsWritten
    batch.isPerhapsWritten = true
    return batch
  }

  /** What came of it. True: it is time to recover. */
  settle(batch: AppendBatch, answer: Produced | undefined): boolean {
    this.#inFlight--
    if (answer !== undefined && answer.error === kafkaErrors.NONE) this.#written(batch, answer)
    else {
      this.#isStalled = true
      batch.failure = answer ?? 'lost'
      const isRefused = answer !== undefined && !mayBeThere.includes(answer.error)
      if (isRefused && !batch.wasPerhapsWritten) {
        batch.isPerhapsWritten = false
        const why = refused(answer.error, this.key)
        for (const { call } of batch.parts) call.refused(why)
      }
    }
    return this.#isStalled && this.#inFlight === 0
  }

  /**
   * Nothing is on its way: what has failed is sent again as long as that can be of use, byte for byte and in order where something of it
   * is perhaps there, by which the broker knows it again.
   */
  recover(): Recovery {
    this.#isStalled = false
    // Sent behind one that has failed, it may be there already: sent once more it would count twice.
    this.#batches = this.#batches.filter(({ isWritten }) => !isWritten)
    this.#next = 0
    const [head] = this.#batches
    const failure = head?.failure
    for (const batch of this.#batches) batch.failure = undefined
    if (head === undefined || failure === undefined) return 'again'
    if (this.abandonExpired()) return 'anew'
    if (failure === 'lost') return 'moved'
    const { error, message } = failure
    if (isTooLarge(error) && head.encoded.count > 1) {
      this.#batchBytes = Math.ceil(head.encoded.bytes.length / 2)
      this.#renew()
      return 'smaller'
    }
    const mayPass = isMoved(error) || isWorthRepeating(error) || mayBeThere.includes(error)
    if (mayPass) {
      // Each call by itself: what nobody waits for any more does not go along with the others.
      if (!this.#batches.some(({ isPerhapsWritten }) => isPerhapsWritten)) this.#renew()
      return isMoved(error) ? 'moved' : 'again'
    }
    if (!isSequenceError(error) && !isFence(error)) {
      const refusal = isTooLarge(error)
        ? tooLargeForTopic(this, head.encoded.bytes.length)
        : refusedBatch(this.#brokers, this, error, message)
      for (const { call } of head.parts) call.fail(refusal)
    }
    this.#renew()
    // Somebody has gone beyond it: another id is taken.
    if (isFence(error)) this.#producer = undefined
    return 'anew'
  }

  /** Nobody waits any more for the first of what is perhaps written: it is not sent again. True: there was such. */
  abandonExpired(): boolean {
    const [head] = this.#batches
    if (head === undefined || !head.parts.every(({ call }) => call.isDone)) return false
    this.#renew()
    return true
  }

  failAll(error: Error): void {
    for (const { call } of [...this.#batches.flatMap(({ parts }) => parts), ...this.#waiting]) {
      call.fail(error)
    }
    this.#batches = []
    this.#next = 0
    this.#waiting = []
    this.#waitingBytes = 0
    this.#raiseEpoch()
  }

  /** Without those whose call has ended. */
  prune(): void {
    this.#waiting = this.#waiting.filter(({ call }) => !call.isDone)
    this.#waitingBytes = this.#waiting.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /**
   * Begins a new sequence. What certainly is not there is put back; of the rest nobody can tell, since what it would be known
   * by again goes with the epoch.
   */
  #renew(): void {
    const back: AppendPart[] = []
    for (const { parts, isPerhapsWritten } of this.#batches) {
      for (const part of parts) {
        if (isPerhapsWritten) part.call.fail(perhapsWritten())
        else {
          part.call.putBack()
          back.push(part)
        }
      }
    }
    this.#batches = []
    this.#next = 0
    this.#raiseEpoch()
    this.#waiting = [...back, ...this.#waiting]
    this.prune()
  }

  /**
   * A later epoch of its producer, as Kafka's own producer takes one when it has lost count (KIP-360): from the first batch of it on the
   * partition refuses what of the one before is still on some way, or else an older value could come behind a newer one.
   */
  #raiseEpoch(): void {
    if (this.#producer === undefined) return
    const { producerId, producerEpoch } = this.#producer
    this.#sequence = 0
    this.#isProven = false
    this.#producer =
      producerEpoch < maxEpoch ? { producerId, producerEpoch: producerEpoch + 1 } : undefined
  }

  #written(batch: AppendBatch, { offset }: Produced): void {
    batch.isWritten = true
    this.#isProven = true
    this.failures = 0
    let base = offset
    for (const part of batch.parts) {
      part.call.wrote(part, base)
      base += part.to - part.from
    }
    while (this.#batches[0]?.isWritten) {
      this.#batches.shift()
      this.#next--
    }
  }

  #make(): AppendBatch | undefined {
    const producer = this.#producer
    const parts = this.#gather()
    if (producer === undefined || parts.length === 0) return undefined
    const [encoded] = encodeBatches(recordsOf(parts), {
      compression: this.#compression,
      // What was gathered fits.
      maxBatchBytes: Number.MAX_SAFE_INTEGER,
      sequencing: { ...producer, baseSequence: this.#sequence, isTransactional: false },
    })
    if (encoded === undefined) return undefined
    for (const { call } of parts) call.batched()
    this.#sequence = sequenceAfter(this.#sequence, encoded.count)
    const fate = { isPerhapsWritten: false, wasPerhapsWritten: false, isWritten: false }
    return { encoded, parts, ...fate, failure: undefined }
  }

  /** As much as a batch takes, of what waits. */
  #gather(): AppendPart[] {
    const parts: AppendPart[] = []
    let room = this.#batchBytes - BATCH_HEAD_BYTES
    let passed = 0
    for (; passed < this.#waiting.length; passed++) {
      const part = this.#waiting[passed]
      if (part === undefined || part.call.isDone) continue
      const isFirst = parts.length === 0
      if (part.bytes <= room) {
        parts.push(part)
        room -= part.bytes
      } else if (part.isWhole) {
        if (!isFirst) break
        part.call.divide()
      } else {
        const [fitting, rest] = cut(part, room, isFirst)
        if (fitting !== undefined) parts.push(fitting)
        if (rest !== undefined) {
          this.#waiting[passed] = rest
          break
        }
      }
    }
    this.#waiting.splice(0, passed)
    this.#waitingBytes = this.#waiting.reduce((sum, { bytes }) => sum + bytes, 0)
    return parts
  }
}

/** The broker has perhaps written it nevertheless: one that leads no more, too, whose successor has the batch. */
const mayBeThere: readonly number[] = [
  kafkaErrors.NOT_LEADER_OR_FOLLOWER,
  kafkaErrors.KAFKA_STORAGE_ERROR,
  kafkaErrors.UNKNOWN_SERVER_ERROR,
  kafkaErrors.REQUEST_TIMED_OUT,
  kafkaErrors.NETWORK_EXCEPTION,
  kafkaErrors.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
]

/** A record that alone is too large goes alone. */
function cut(
  part: AppendPart,
  room: number,
  takesOne: boolean,
): [fitting: AppendPart | undefined, rest: AppendPart | undefined] {
  let bytes = 0
  let at = part.from
  for (; at < part.to; at++) {
    const record = part.records[at]
    if (record === undefined) break
    const more = bytesInBatch(record)
    if (bytes + more > room && !(takesOne && at === part.from)) break
    bytes += more
  }
  if (at === part.from) return [undefined, part]
  const fitting = { ...part, to: at, bytes }
  return [fitting, at === part.to ? undefined : { ...part, from: at, bytes: part.bytes - bytes }]
}

function recordsOf(parts: readonly AppendPart[]): readonly RecordToAppend[] {
  const [first] = parts
  if (parts.length === 1 && first?.from === 0 && first.to === first.records.length) {
    return first.records
  }
  const records: RecordToAppend[] = []
  for (const part of parts) {
    for (let at = part.from; at < part.to; at++) {
      const record = part.records[at]
      if (record !== undefined) records.push(record)
    }
  }
  return records
}
