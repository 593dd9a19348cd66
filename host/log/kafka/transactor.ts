// Writes under one transactional id: each transaction is committed wholly, or not at all.
import type { Position, RecordToAppend, TopicPartition } from '../log.js'
import { checkRecord, logClosed } from '../problems.js'
import type { Brokers } from './brokers.js'
import { Deadline } from './deadline.js'
import { encodeBatches, sequenceAfter } from './encoding.js'
import { kafkaErrors } from './error-codes.js'
import { type Lane, lanesOf } from './lane.js'
import { Placement } from './placement.js'
import { brokerUnavailable, refused } from './problems.js'
import { produceAll } from './producing.js'
import type { Producer } from './requests/init-producer-id.js'
import type { TransactionalProducer } from './requests/transaction.js'
import { right } from './rights.js'
import { type Move, TransactionSteps } from './transaction-steps.js'
import { asError, isFence, isUnavailable, type Trouble } from './trouble.js'
import type { KafkaWriteSettings } from './write-settings.js'

export type TransactionOutcome =
  | { readonly kind: 'committed'; readonly lanes: readonly Lane[] }
  | { readonly kind: 'failed'; readonly cause: Error }
  | { readonly kind: 'unknown'; readonly cause: Error }
  | { readonly kind: 'fenced'; readonly cause: Error }

export interface Transaction {
  readonly records: readonly RecordToAppend[]
  readonly move?: Move
  /** As in `Commit`. */
  readonly behind?: readonly Position[]
  /** Looks, while it is written, whether it may be committed. */
  readonly check?: (deadline: Deadline) => Promise<Trouble | undefined>
}

/** What it takes at least to abort when all the time was spent before. */
const abortMs = 3_000

/** Before the broker ends a transaction by itself, and with it the producer's epoch. */
const timeoutMargin = 0.8

export class Transactor {
  readonly #brokers: Brokers
  readonly #settings: KafkaWriteSettings
  readonly #steps: TransactionSteps
  readonly #sequences = new Map<string, number>()
  /** Topics that take less than `maxBatchBytes`. */
  readonly #batchBytes = new Map<string, number>()
  readonly #placement: Placement
  #producer: TransactionalProducer
  #openSince = 0
  /** Something that was asked for may be done later: the broker may then end a transaction of which nobody here knows. */
  #isDoubtful = false
  /** It was asked for, whatever was answered. */
  #wasCommitSent = false
  readonly #doubt = (): void => {
    this.#isDoubtful = true
  }

  private constructor(
    brokers: Brokers,
    settings: KafkaWriteSettings,
    producer: TransactionalProducer,
  ) {
    this.#brokers = brokers
    this.#settings = settings
    this.#placement = new Placement(brokers)
    this.#steps = new TransactionSteps(brokers, settings.requestTimeoutMs)
    this.#producer = producer
  }

  /** Fences whoever has written under this id, and ends his transaction. Rejects with BROKER_UNAVAILABLE, BROKER_REFUSED. */
  static async begin(
    brokers: Brokers,
    transactionalId: string,
    settings: KafkaWriteSettings,
    deadline = new Deadline(settings.deadlineMs, brokers.signal),
  ): Promise<Transactor> {
    const unborn = { transactionalId, producerId: -1, producerEpoch: -1 }
    const transactor = new Transactor(brokers, settings, unborn)
    const error = await transactor.#initialize(undefined, deadline)
    if (error !== kafkaErrors.NONE) {
      throw brokers.refused(error, `a producer with the transactional id ${transactionalId}`, [
        right.transactions(transactionalId),
      ])
    }
    return transactor
  }

  /** Never rejects. After `unknown` and `fenced` it is of no use any more. One at a time. */
  async run(
    transaction: Transaction,
    deadline = new Deadline(this.#settings.deadlineMs, this.#brokers.signal),
  ): Promise<TransactionOutcome> {
    try {
      for (const record of transaction.records) checkRecord(record, this.#settings.maxRecordBytes)
    } catch (thrown) {
      return { kind: 'failed', cause: asError(thrown) }
    }
    const unproven = this.#placement.unproven(transaction.records, transaction.behind)
    if (unproven.length > 0) {
      // What is written there for that is given up, and nobody reads it.
      const trial: Transaction = {
        records: unproven.map(trialOf),
        behind: unproven,
        // One who leads no more, and has not heard so, never acknowledges it: it is looked meanwhile who does.
        check: async (deadline) => {
          await deadline.bound(this.#brokers.topics(unproven.map(({ topic }) => topic)))
          return undefined
        },
      }
      const outcome = await this.#try(trial, async () => ({ kind: 'undone' }), deadline)
      if (outcome !== 'undone') return outcome
    }
    for (;;) {
      const outcome = await this.#try(transaction, () => this.#commit(deadline), deadline)
      if (outcome !== 'undone') return outcome
    }
  }

  /** `undone`: what came of it allows for another try, at once. */
  async #try(
    transaction: Transaction,
    end: () => Promise<Trouble | undefined>,
    deadline: Deadline,
  ): Promise<TransactionOutcome | 'undone'> {
    const lanes = lanesOf(transaction.records)
    try {
      await this.#locate(lanes, deadline)
    } catch (thrown) {
      const isClosed = this.#brokers.signal.aborted
      return { kind: 'failed', cause: isClosed ? logClosed() : asError(thrown) }
    }
    this.#openSince = performance.now()
    this.#wasCommitSent = false
    const trouble = (await this.#write(lanes, transaction, deadline)) ?? (await end())
    if (trouble === undefined) return { kind: 'committed', lanes }
    const outcome = await this.#undo(trouble, deadline)
    if (outcome !== 'undone' || trouble.kind === 'undone') return outcome
    // One who leads no more, and has not heard so, takes records, and never has them acknowledged.
    for (const { topic } of lanes) this.#brokers.forgetTopic(topic)
    return { kind: 'failed', cause: trouble.cause }
  }

  /** Nothing has been begun yet: what is not there is told before. */
  async #locate(lanes: readonly Lane[], deadline: Deadline): Promise<void> {
    for (const lane of lanes) {
      for (;;) {
        if (this.#brokers.signal.aborted) throw logClosed()
        try {
          await deadline.bound(this.#brokers.leader(lane))
          break
        } catch (thrown) {
          if (!isUnavailable(thrown) || deadline.isOver) throw thrown
          await deadline.pause()
        }
      }
    }
  }

  async #write(
    lanes: readonly Lane[],
    { move, check, behind = [] }: Transaction,
    deadline: Deadline,
  ): Promise<Trouble | undefined> {
    const steps = this.#steps
    const producer = this.#producer
    // Together: both go to the same coordinator, and it does them one after the other.
    const adding = settled([
      lanes.length > 0 && steps.addPartitions(producer, lanes, this.#doubt, deadline),
      move !== undefined && steps.addOffsets(producer, move.member.group, this.#doubt, deadline),
    ])
    // These requests go out before the batches are made, which takes its time.
    await new Promise((resolve) => setImmediate(resolve))
    this.#encode(lanes)
    const notAdded = await adding
    if (notAdded !== undefined) return notAdded
    this.#placement.added(lanes)
    const producing = {
      brokers: this.#brokers,
      transactionalId: producer.transactionalId,
      requestTimeoutMs: this.#settings.requestTimeoutMs,
      tooLarge: (topic: string, bytes: number) => {
        this.#batchBytes.set(topic, Math.ceil(bytes / 2))
      },
    }
    const notWritten = await settled([
      produceAll(producing, lanes, deadline),
      move !== undefined && move.positions.length > 0 && steps.move(producer, move, deadline),
      check?.(deadline),
    ])
    const elsewhere = this.#placement.elsewhere(lanes, behind)
    if (notWritten !== undefined) return notWritten
    if (elsewhere.length > 0) {
      const trouble = this.#placement.trouble(elsewhere, behind, deadline)
      const misplaced = await settled([trouble])
      if (misplaced !== undefined) return misplaced
    }
    for (const lane of lanes) {
      const last = lane.batches.at(-1)
      if (last === undefined) continue
      this.#sequences.set(lane.key, sequenceAfter(last.baseSequence, last.count))
    }
    return undefined
  }

  #encode(lanes: readonly Lane[]): void {
    const { compression, maxBatchBytes } = this.#settings
    const { producerId, producerEpoch } = this.#producer
    for (const lane of lanes) {
      const known = this.#sequences.get(lane.key)
      lane.isProven = known !== undefined
      lane.batches = encodeBatches(lane.records, {
        compression,
        maxBatchBytes: Math.min(maxBatchBytes, this.#batchBytes.get(lane.topic) ?? maxBatchBytes),
        sequencing: { producerId, producerEpoch, baseSequence: known ?? 0, isTransactional: true },
      })
    }
  }

  async #commit(deadline: Deadline): Promise<Trouble | undefined> {
    const producer = this.#producer
    let wasLost = false
    const lost = (cause: unknown) => {
      wasLost = true
      throw cause
    }
    this.#wasCommitSent = true
    try {
      const error = await this.#steps.end(producer, true, lost, deadline)
      const { transactionalId } = producer
      return this.#steps.trouble(error, `to commit a transaction of ${transactionalId}`, [
        right.transactions(transactionalId),
      ])
    } catch (thrown) {
      return { kind: wasLost ? 'undecided' : 'failed', cause: asError(thrown) }
    }
  }

  /** `undone`: nothing of it will ever be seen, and the next transaction may be begun. */
  async #undo(trouble: Trouble, deadline: Deadline): Promise<'undone' | TransactionOutcome> {
    if (trouble.kind === 'fenced') return this.#fenced(trouble.cause)
    // Whoever begins anew has the broker decide it.
    if (trouble.kind === 'undecided') return { kind: 'unknown', cause: trouble.cause }
    const limit = new Deadline(Math.max(deadline.leftMs, abortMs), this.#brokers.signal)
    try {
      const error = await this.#steps.end(this.#producer, false, this.#doubt, limit)
      if (trouble.kind === 'failed' || trouble.kind === 'undone')
        return await this.#renew(error, limit)
    } catch (thrown) {
      if (trouble.kind === 'failed' || trouble.kind === 'undone') {
        // Why it was given up says more: what keeps its batches out keeps its markers out, too.
        return {
          kind: 'unknown',
          cause: trouble.kind === 'failed' ? trouble.cause : asError(thrown),
        }
      }
      // It ends with the beginning of another producer, or by its time-out.
    }
    return { kind: trouble.kind === 'expelled' ? 'fenced' : 'unknown', cause: trouble.cause }
  }

  /** Given what was answered when it was to be aborted. */
  async #renew(aborted: number, deadline: Deadline): Promise<'undone' | TransactionOutcome> {
    if (isFence(aborted)) return this.#fenced(refused(aborted, 'to abort a transaction'))
    // INVALID_TXN_STATE: none is open, since what was to open it was refused; or else it was committed.
    const isOver =
      aborted === kafkaErrors.NONE ||
      (aborted === kafkaErrors.INVALID_TXN_STATE && !this.#wasCommitSent)
    const error = isOver ? await this.#initialize(this.#producer, deadline) : aborted
    if (error === kafkaErrors.NONE) return 'undone'
    const { transactionalId } = this.#producer
    const cause = this.#brokers.refused(
      error,
      `to go on after a transaction of ${transactionalId}`,
      [right.transactions(transactionalId)],
    )
    return { kind: 'unknown', cause: brokerUnavailable(cause) }
  }

  /**
   * Begins anew, under another epoch: what was sent before and arrives later is refused. `current`: only if nobody else has begun
   * since. Returns what the broker answers.
   */
  async #initialize(current: Producer | undefined, deadline: Deadline): Promise<number> {
    const { transactionalId } = this.#producer
    const { transactionTimeoutMs } = this.#settings
    const options = { transactionalId, transactionTimeoutMs }
    const { error, producerId, producerEpoch } = await this.#steps.begin(
      current === undefined ? options : { ...options, current },
      deadline,
    )
    if (error !== kafkaErrors.NONE) return error
    this.#producer = { transactionalId, producerId, producerEpoch }
    this.#sequences.clear()
    this.#isDoubtful = false
    return error
  }

  /** The broker raises the epoch also when it ends by itself what has been open for too long. */
  #fenced(cause: Error): TransactionOutcome {
    const openMs = performance.now() - this.#openSince
    const mayBeOver = openMs > this.#settings.transactionTimeoutMs * timeoutMargin
    return { kind: mayBeOver || this.#isDoubtful ? 'unknown' : 'fenced', cause }
  }
}

/** Nobody can emit with an empty key: who reads what was given up, too, deletes nothing. */
const trialOf = ({ topic, partition }: TopicPartition): RecordToAppend => ({
  topic,
  partition,
  key: Buffer.alloc(0),
  value: null,
  timestamp: Date.now(),
})

type Step = Promise<Trouble | undefined> | false | undefined

/** All of it has ended: nothing is on the way any more when a transaction is aborted. The worst counts. */
async function settled(steps: readonly Step[]): Promise<Trouble | undefined> {
  const ended = await Promise.allSettled(
    steps.filter((step) => step !== undefined && step !== false),
  )
  const troubles = ended.flatMap((end): Trouble[] => {
    if (end.status === 'rejected') return [{ kind: 'failed', cause: asError(end.reason) }]
    return end.value === undefined ? [] : [end.value]
  })
  const order = ['fenced', 'expelled', 'undecided', 'unknown', 'failed', 'undone'] as const
  for (const kind of order) {
    const found = troubles.find((trouble) => trouble.kind === kind)
    if (found !== undefined) return found
  }
  return undefined
}
