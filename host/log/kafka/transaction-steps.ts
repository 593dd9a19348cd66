// What is asked in the course of a transaction, of its own coordinator and of the group's.
import { unknownTopic } from '../problems.js'
import type { Brokers } from './brokers.js'
import { Coordinators, worstOf } from './coordinators.js'
import type { Deadline } from './deadline.js'
import { kafkaErrors } from './error-codes.js'
import type { Lane } from './lane.js'
import {
  type InitializedProducer,
  type InitProducerIdOptions,
  initProducerId,
} from './requests/init-producer-id.js'
import {
  addOffsetsToTxn,
  addPartitionsToTxn,
  endTxn,
  type GroupMember,
  type PositionToCommit,
  type TransactionalProducer,
  txnOffsetCommit,
} from './requests/transaction.js'
import { type Right, right } from './rights.js'
import { type Trouble, troubleOf } from './trouble.js'

/** Positions of a group that move with it. */
export interface Move {
  readonly member: GroupMember
  readonly positions: readonly PositionToCommit[]
}

export class TransactionSteps {
  readonly #brokers: Brokers
  readonly #coordinators: Coordinators

  constructor(brokers: Brokers, requestTimeoutMs: number) {
    this.#brokers = brokers
    this.#coordinators = new Coordinators(brokers, requestTimeoutMs)
  }

  /** `lost` is called when it may still be done later. */
  async addPartitions(
    producer: TransactionalProducer,
    lanes: readonly Lane[],
    lost: () => void,
    deadline: Deadline,
  ): Promise<Trouble | undefined> {
    const { partitions } = await this.#coordinators.ask(
      {
        type: 'transaction',
        key: producer.transactionalId,
        request: addPartitionsToTxn(producer, lanes),
        error: ({ partitions }) => worstOf(partitions),
        lost,
      },
      deadline,
      async () => {
        // The coordinator may not have heard of a new one yet. Or it is gone: the look-up throws that.
        for (const { topic } of lanes) this.#brokers.forgetTopic(topic)
        for (const lane of lanes) await deadline.bound(this.#brokers.leader(lane))
      },
    )
    const error = worstOf(partitions)
    const [refusing] = partitions.filter((one) => one.error === error)
    return this.trouble(error, 'to add partitions to a transaction', [
      right.topic('Write', refusing?.topic ?? ''),
      right.transactions(producer.transactionalId),
    ])
  }

  async addOffsets(
    producer: TransactionalProducer,
    group: string,
    lost: () => void,
    deadline: Deadline,
  ): Promise<Trouble | undefined> {
    const { error } = await this.#coordinators.ask(
      {
        type: 'transaction',
        key: producer.transactionalId,
        request: addOffsetsToTxn(producer, group),
        error: ({ error }) => error,
        lost,
      },
      deadline,
    )
    return this.trouble(error, `to add the positions of ${group} to a transaction`, [
      right.group('Read', group),
      right.transactions(producer.transactionalId),
    ])
  }

  async move(
    producer: TransactionalProducer,
    { member, positions }: Move,
    deadline: Deadline,
  ): Promise<Trouble | undefined> {
    const { partitions } = await this.#coordinators.ask(
      {
        type: 'group',
        key: member.group,
        request: txnOffsetCommit(producer, member, positions),
        error: ({ partitions }) => {
          const worst = worstOf(partitions)
          // A topic that is gone does not come back as the same.
          return worst === kafkaErrors.UNKNOWN_TOPIC_OR_PARTITION ? kafkaErrors.NONE : worst
        },
        // It may still arrive, and would then be of the next transaction.
        lost: (cause) => {
          throw cause
        },
      },
      deadline,
    )
    const error = worstOf(partitions)
    const gone = partitions.find((one) => one.error === kafkaErrors.UNKNOWN_TOPIC_OR_PARTITION)
    if (gone !== undefined && gone.error === error) {
      return { kind: 'unknown', cause: unknownTopic(gone.topic, gone.partition) }
    }
    const [refusing] = partitions.filter((one) => one.error === error)
    return this.trouble(error, `to move positions of ${member.group}`, [
      right.topic('Read', refusing?.topic ?? ''),
      right.group('Read', member.group),
      right.transactions(producer.transactionalId),
    ])
  }

  /** What the broker answers; `lost` may throw. */
  async end(
    producer: TransactionalProducer,
    isCommit: boolean,
    lost: (cause: unknown) => void,
    deadline: Deadline,
  ): Promise<number> {
    const { error } = await this.#coordinators.ask(
      {
        type: 'transaction',
        key: producer.transactionalId,
        request: endTxn(producer, isCommit),
        error: ({ error }) => error,
        lost,
      },
      deadline,
    )
    return error
  }

  async begin(
    options: InitProducerIdOptions & { readonly transactionalId: string },
    deadline: Deadline,
  ): Promise<InitializedProducer> {
    return await this.#coordinators.ask(
      {
        type: 'transaction',
        key: options.transactionalId,
        request: initProducerId(options),
        error: ({ error }) => error,
        // The same again is answered with what was given then.
        lost: () => {},
      },
      deadline,
    )
  }

  /** Undefined for no error. `needed`: the rights without which it is refused. */
  trouble(error: number, what: string, needed: readonly Right[]): Trouble | undefined {
    if (error === kafkaErrors.NONE) return undefined
    return troubleOf(error, this.#brokers.refused(error, what, needed))
  }
}
