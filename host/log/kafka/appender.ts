// Appends for emitters, without a fence: idempotent, what is called at once goes in one batch for each partition.
import { HostError } from '../../errors.js'
import type { AppendOptions, RecordToAppend, TopicPartition } from '../log.js'
import { keyOf } from '../log.js'
import { checkRecord, logClosed } from '../problems.js'
import { AppendCall, bytesInBatch, perhapsWritten } from './append-call.js'
import { type AppendBatch, AppendLane } from './append-lane.js'
import { BATCH_HEAD_BYTES } from './batch.js'
import type { Brokers } from './brokers.js'
import { Deadline } from './deadline.js'
import { kafkaErrors } from './error-codes.js'
import { type Lane, lanesOf } from './lane.js'
import { type InitializedProducer, initProducerId } from './requests/init-producer-id.js'
import { type Produced, produce } from './requests/produce.js'
import { TransactorPool } from './transactor-pool.js'
import { asError, isUnavailable, refusedBatch } from './trouble.js'
import { answerMs, type KafkaWriteSettings, kafkaWriteSettings } from './write-settings.js'

export interface KafkaAppenderOptions {
  /** Of this log alone: atomic appends have transactional ids that begin with it. */
  readonly name: string
  readonly settings?: Partial<KafkaWriteSettings>
}

/** What is on its way when it is closed is waited for. */
const closeMs = 3_000
const pauseMinMs = 5
const pauseMaxMs = 200

interface Sending {
  readonly lane: AppendLane
  readonly batch: AppendBatch
}

export class KafkaAppender implements AsyncDisposable {
  readonly #brokers: Brokers
  readonly #settings: KafkaWriteSettings
  readonly #transactions: TransactorPool
  readonly #lanes = new Map<string, AppendLane>()
  /** Those that have something to send. */
  readonly #ready = new Set<AppendLane>()
  /** The oldest first, which is the first to expire. */
  readonly #calls = new Set<AppendCall>()
  #queuedBytes = 0
  #producer: Promise<InitializedProducer> | undefined
  #timer: NodeJS.Timeout | undefined
  #isScheduled = false
  #isClosed = false
  #emptied: (() => void) | undefined

  constructor(brokers: Brokers, { name, settings }: KafkaAppenderOptions) {
    this.#brokers = brokers
    this.#settings = kafkaWriteSettings(settings)
    this.#transactions = new TransactorPool(brokers, name, this.#settings)
  }

  /** Ends what one of the same name, which is gone, has left open. */
  takeOver(): void {
    this.#transactions.takeOver()
  }

  /**
   * Resolves with the offset of each record, in order. Rejects with RECORD_TOO_LARGE and OVERLOADED, at once; UNKNOWN_TOPIC,
   * BROKER_UNAVAILABLE (its message tells whether something is perhaps written), BROKER_REFUSED, LOG_CLOSED.
   */
  async append(
    records: readonly RecordToAppend[],
    { atomic = false, isBounded = false }: AppendOptions = {},
  ): Promise<readonly number[]> {
    // No await before it is in its lanes: calls keep their order.
    if (this.#isClosed || this.#brokers.signal.aborted) throw logClosed()
    if (records.length === 0) return []
    const { maxRecordBytes, deadlineMs } = this.#settings
    const bytes = records.reduce((sum, record) => sum + checkRecord(record, maxRecordBytes), 0)
    if (!isBounded) this.#admit(bytes)
    const call: AppendCall = new AppendCall({
      count: records.length,
      bytes,
      expiresAt: performance.now() + deadlineMs,
      ended: (call) => this.#ended(call),
      divide: () => this.#transact(call, records),
    })
    this.#calls.add(call)
    this.#queuedBytes += bytes
    this.#arm()
    const lanes = lanesOf(records)
    if (atomic && lanes.length > 1) this.#transact(call, records)
    else for (const lane of lanes) this.#push(lane, call, atomic)
    return await call.offsets
  }

  /** Refuses what is new and what was not sent yet; the rest is waited for, a little. The brokers stay open. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const call of [...this.#calls]) if (!call.isTouched) call.fail(logClosed())
    if (this.#calls.size > 0) {
      const emptied = new Promise<void>((resolve) => {
        this.#emptied = resolve
      })
      const deadline = new Deadline(closeMs, this.#brokers.signal)
      await deadline.bound(emptied).catch(() => {})
    }
    for (const call of [...this.#calls]) call.fail(perhapsWritten(logClosed()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #admit(bytes: number): void {
    const limit = this.#settings.maxQueuedBytes
    if (this.#queuedBytes === 0 || this.#queuedBytes + bytes <= limit) return
    throw new HostError(
      'OVERLOADED',
      `${this.#queuedBytes} bytes wait to be written to Kafka, more than ${limit} may not: send slower, or try again`,
    )
  }

  #push({ topic, partition, records, places }: Lane, call: AppendCall, isWhole: boolean): void {
    const lane = this.#lane({ topic, partition })
    const bytes = records.reduce((sum, record) => sum + bytesInBatch(record), 0)
    if (isWhole && bytes + BATCH_HEAD_BYTES > this.#settings.maxBatchBytes) {
      call.divide()
      return
    }
    lane.push({ call, records, places, from: 0, to: records.length, bytes, isWhole })
    this.#wake(lane)
  }

  #lane(at: TopicPartition): AppendLane {
    const key = keyOf(at)
    const known = this.#lanes.get(key)
    if (known !== undefined) return known
    const lane = new AppendLane(at, this.#settings, this.#brokers)
    this.#lanes.set(key, lane)
    return lane
  }

  #transact(call: AppendCall, records: readonly RecordToAppend[]): void {
    const leftMs = call.expiresAt - performance.now()
    const deadline = new Deadline(leftMs, this.#brokers.signal)
    call.batched()
    this.#transactions.append(records, deadline).then(
      (offsets) => call.wroteAll(offsets),
      (thrown: unknown) => call.fail(asError(thrown)),
    )
  }

  #wake(lane: AppendLane): void {
    this.#ready.add(lane)
    if (this.#isScheduled) return
    this.#isScheduled = true
    // Behind whatever else is called in this turn.
    queueMicrotask(() => this.#pump())
  }

  /** One batch of each partition that has its turn, one request to each broker. */
  #pump(): void {
    this.#isScheduled = false
    const byNode = new Map<number, Sending[]>()
    for (const lane of this.#ready) {
      if (!lane.hasWork) this.#ready.delete(lane)
      else if (lane.isBusy) continue
      else if (lane.node === undefined || !lane.hasProducer) void this.#prepare(lane)
      else {
        const batch = lane.take()
        if (batch === undefined) continue
        const sendings = byNode.get(lane.node)
        if (sendings === undefined) byNode.set(lane.node, [{ lane, batch }])
        else sendings.push({ lane, batch })
      }
    }
    if (byNode.size === 0) return
    for (const [node, sendings] of byNode) void this.#send(node, sendings)
    this.#isScheduled = true
    // The requests go out before further batches are made.
    setImmediate(() => this.#pump())
  }

  async #send(node: number, sendings: readonly Sending[]): Promise<void> {
    const { requestTimeoutMs } = this.#settings
    const batches = sendings.map(({ lane: { topic, partition }, batch }) => ({
      topic,
      partition,
      batch: batch.encoded.bytes,
    }))
    const request = produce({ transactionalId: null, timeoutMs: requestTimeoutMs }, batches)
    const limitMs = requestTimeoutMs + answerMs
    const answers = new Map<string, Produced>()
    try {
      const { partitions } = await this.#brokers.askWithin(node, request, limitMs, limitMs)
      for (const one of partitions) answers.set(keyOf(one), one)
    } catch (thrown) {
      if (!isUnavailable(thrown)) for (const { lane } of sendings) lane.failAll(asError(thrown))
    }
    for (const { lane, batch } of sendings) {
      if (lane.settle(batch, answers.get(lane.key))) this.#recover(lane)
      this.#wake(lane)
    }
  }

  #recover(lane: AppendLane): void {
    const recovery = lane.recover()
    if (recovery === 'smaller') return
    if (recovery === 'moved') {
      this.#brokers.forgetTopic(lane.topic)
      lane.node = undefined
    }
    this.#rest(lane)
  }

  /** Longer each time. */
  #rest(lane: AppendLane): void {
    lane.isBusy = true
    const ms = Math.min(pauseMinMs * 2 ** lane.failures++, pauseMaxMs)
    setTimeout(() => {
      // Its caller was told meanwhile that it is not there.
      lane.abandonExpired()
      lane.isBusy = false
      this.#wake(lane)
    }, ms)
  }

  async #prepare(lane: AppendLane): Promise<void> {
    lane.abandonExpired()
    lane.prune()
    if (!lane.hasWork) return
    lane.isBusy = true
    try {
      lane.node = (await this.#brokers.leader(lane)).node
      if (!lane.hasProducer) {
        const { error, producerId, producerEpoch } = await (lane.hasBegun
          ? this.#newProducer()
          : this.#sharedProducer())
        // A user that may write to no topic at all gets none.
        if (error !== kafkaErrors.NONE) throw refusedBatch(this.#brokers, lane, error, null)
        lane.begin({ producerId, producerEpoch })
      }
      lane.isBusy = false
      this.#wake(lane)
    } catch (thrown) {
      if (isUnavailable(thrown) && !this.#brokers.signal.aborted) this.#rest(lane)
      else {
        this.#ready.delete(lane)
        lane.failAll(this.#brokers.signal.aborted ? logClosed() : asError(thrown))
        lane.isBusy = false
        // One that has written is kept: another one of the same producer would begin with numbers that the partition knows.
        if (!lane.hasBegun) this.#lanes.delete(lane.key)
      }
    }
  }

  async #sharedProducer(): Promise<InitializedProducer> {
    this.#producer ??= this.#newProducer()
    const asked = this.#producer
    let isGiven = false
    try {
      const producer = await asked
      isGiven = producer.error === kafkaErrors.NONE
      return producer
    } finally {
      if (!isGiven && this.#producer === asked) this.#producer = undefined
    }
  }

  #newProducer(): Promise<InitializedProducer> {
    const { transactionTimeoutMs } = this.#settings
    return this.#brokers.askAny(initProducerId({ transactionalId: null, transactionTimeoutMs }))
  }

  #ended(call: AppendCall): void {
    this.#calls.delete(call)
    this.#queuedBytes -= call.bytes
    if (this.#calls.size > 0) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#emptied?.()
  }

  #arm(): void {
    const [oldest] = this.#calls
    if (this.#timer !== undefined || oldest === undefined) return
    const ms = Math.max(0, oldest.expiresAt - performance.now())
    this.#timer = setTimeout(() => this.#expire(), ms)
  }

  #expire(): void {
    this.#timer = undefined
    const now = performance.now()
    for (const call of [...this.#calls]) {
      if (call.expiresAt > now) break
      call.expire()
    }
    this.#arm()
  }
}
