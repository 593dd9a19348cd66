// Atomic appends over several partitions: each a transaction, a few of them at once.
import { HostError } from '../../errors.js'
import type { RecordToAppend } from '../log.js'
import { perhapsWritten } from './append-call.js'
import type { Brokers } from './brokers.js'
import { Deadline } from './deadline.js'
import { offsetsOf } from './lane.js'
import { Transactor } from './transactor.js'
import type { KafkaWriteSettings } from './write-settings.js'

const maxTransactors = 8

/** One transactional id. */
interface Slot {
  readonly transactionalId: string
  transactor: Transactor | undefined
}

export class TransactorPool {
  readonly #brokers: Brokers
  readonly #settings: KafkaWriteSettings
  readonly #name: string
  readonly #free: Slot[] = []
  readonly #waiting = new Set<(slot: Slot) => void>()
  #count = 0

  /** `name`: nobody else uses transactional ids that begin with it. */
  constructor(brokers: Brokers, name: string, settings: KafkaWriteSettings) {
    this.#brokers = brokers
    this.#name = name
    this.#settings = settings
  }

  /** The offset of each record, in order. Rejects with BROKER_UNAVAILABLE, and says whether it is perhaps written; UNKNOWN_TOPIC, … */
  async append(records: readonly RecordToAppend[], deadline: Deadline): Promise<readonly number[]> {
    for (;;) {
      const slot = await this.#take(deadline)
      let transactor: Transactor
      try {
        slot.transactor ??= await Transactor.begin(
          this.#brokers,
          slot.transactionalId,
          this.#settings,
          deadline,
        )
        transactor = slot.transactor
      } catch (thrown) {
        this.#give(slot)
        throw thrown
      }
      const outcome = await transactor.run({ records }, deadline)
      switch (outcome.kind) {
        case 'committed':
          this.#give(slot)
          return offsetsOf(outcome.lanes, records.length)
        case 'failed':
          this.#give(slot)
          if (!isRetryable(outcome.cause) || deadline.isOver) throw outcome.cause
          await deadline.pause()
          break
        case 'fenced':
          // Somebody has the same ids, or the broker has ended what took too long: it was not committed.
          slot.transactor = undefined
          this.#give(slot)
          if (deadline.isOver) throw outcome.cause
          await deadline.pause()
          break
        case 'unknown':
          this.#decide(slot)
          throw perhapsWritten(outcome.cause)
      }
    }
  }

  /** As if each had been left undecided. */
  takeOver(): void {
    while (this.#count < maxTransactors) this.#decide(this.#next())
  }

  /** At once: readers do not get past a transaction that is open. */
  #decide(slot: Slot): void {
    slot.transactor = undefined
    const { deadlineMs } = this.#settings
    const deadline = new Deadline(deadlineMs, this.#brokers.signal)
    Transactor.begin(this.#brokers, slot.transactionalId, this.#settings, deadline)
      .then((transactor) => {
        slot.transactor = transactor
      })
      // The next one who takes it tries again.
      .catch(() => {})
      .finally(() => this.#give(slot))
  }

  async #take(deadline: Deadline): Promise<Slot> {
    const free = this.#free.pop()
    if (free !== undefined) return free
    if (this.#count < maxTransactors) return this.#next()
    let take: (slot: Slot) => void = () => {}
    const given = new Promise<Slot>((resolve) => {
      take = resolve
    })
    this.#waiting.add(take)
    try {
      return await deadline.bound(given)
    } catch (thrown) {
      // It may have been given in the same turn.
      if (!this.#waiting.delete(take)) void given.then((slot) => this.#give(slot))
      throw thrown
    }
  }

  #next(): Slot {
    const transactionalId = `${this.#settings.transactionalIdPrefix}${this.#name}-${this.#count++}`
    return { transactionalId, transactor: undefined }
  }

  #give(slot: Slot): void {
    const [first] = this.#waiting
    if (first === undefined) {
      this.#free.push(slot)
      return
    }
    this.#waiting.delete(first)
    first(slot)
  }
}

const isRetryable = (cause: Error): boolean => cause instanceof HostError && cause.retryable
