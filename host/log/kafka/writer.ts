// The transactional writer of one (group, partition): fenced by its transactional id, bound to the group's generation.

import { HostError } from '../../errors.js'
import type {
  Commit,
  CommitOutcome,
  LogWriter,
  Position,
  TopicPartition,
  WriterOptions,
} from '../log.js'
import { logClosed, topicMadeAnew } from '../problems.js'
import type { Brokers } from './brokers.js'
import { Coordinators, worstOf } from './coordinators.js'
import { Deadline } from './deadline.js'
import { isExpelled, kafkaErrors } from './error-codes.js'
import { lastEpochs } from './last-epochs.js'
import { checkPositions, presentPositions } from './positions.js'
import { brokerUnavailable } from './problems.js'
import { heartbeat } from './requests/heartbeat.js'
import { type CommittedPosition, offsetFetch } from './requests/offset-fetch.js'
import type { GroupMember, PositionToCommit } from './requests/transaction.js'
import { right } from './rights.js'
import { type Transaction, Transactor } from './transactor.js'
import { asError, type Trouble } from './trouble.js'
import { type KafkaWriteSettings, kafkaWriteSettings } from './write-settings.js'

export interface KafkaWriterOptions extends WriterOptions {
  readonly group: string
  readonly partition: number
  /** As whom it commits: the positions of a group that has members are moved by them alone. */
  readonly member?: GroupMember
  /** As whom it would by now. Rejects with FENCED when this host is no member of the group any more. */
  readonly asMember?: () => Promise<GroupMember | undefined>
  readonly settings?: Partial<KafkaWriteSettings>
}

/** Rejects with FENCED when it is for a member that the group has no more, BROKER_UNAVAILABLE, BROKER_REFUSED, LOG_CLOSED. */
export async function openKafkaWriter(
  brokers: Brokers,
  options: KafkaWriterOptions,
): Promise<LogWriter> {
  const { group, partition, topics, signal } = options
  const settings = kafkaWriteSettings(options.settings)
  const deadline = new Deadline(settings.deadlineMs, brokers.signal, signal)
  try {
    const { member } = options
    const id = transactionalIdOf(settings, group, partition)
    // Found meanwhile; what keeps it from being found is told when it is asked.
    void brokers.coordinator('transaction', id).catch(() => {})
    if (member !== undefined) await checkMember(brokers, settings, member, deadline)
    // Before the positions: one that is made anew in between is taken for the one before, and the first commit tells.
    const topicsFound = deadline.bound(brokers.topicIds(topics))
    topicsFound.catch(() => {})
    const transactor = await Transactor.begin(brokers, id, settings, deadline)
    options.fenced?.()
    const topicIds = await topicsFound
    const committed = await committedPositions(brokers, settings, options, deadline)
    const others = committed.map(({ topic }) => topic).filter((topic) => !topicIds.has(topic))
    const further = others.length === 0 ? [] : await deadline.bound(brokers.topicIds(others))
    const positions = presentPositions(committed, new Map([...topicIds, ...further]))
    return new KafkaWriter(brokers, options, transactor, topicIds, positions)
  } catch (thrown) {
    throw brokers.signal.aborted ? logClosed() : thrown
  }
}

export const transactionalIdOf = (
  { transactionalIdPrefix }: KafkaWriteSettings,
  group: string,
  partition: number,
): string => `${transactionalIdPrefix}${group}-${partition}`

/** Who was away for too long, and does not know yet, must not fence the one who came after. */
async function checkMember(
  brokers: Brokers,
  { requestTimeoutMs }: KafkaWriteSettings,
  member: GroupMember,
  deadline: Deadline,
): Promise<void> {
  const { error } = await new Coordinators(brokers, requestTimeoutMs).ask(
    {
      type: 'group',
      key: member.group,
      request: heartbeat(member),
      // The group's other members are joining: it is one until it has joined, or has not.
      error: ({ error }) =>
        error === kafkaErrors.REBALANCE_IN_PROGRESS ? kafkaErrors.NONE : error,
      lost: () => {},
    },
    deadline,
  )
  if (error === kafkaErrors.NONE || error === kafkaErrors.REBALANCE_IN_PROGRESS) return
  const cause = brokers.refused(error, `the member ${member.member} of ${member.group}`, [
    right.group('Read', member.group),
  ])
  throw isExpelled(error) ? noMember(member.group, cause) : cause
}

export const noMember = (group: string, cause?: unknown): HostError =>
  new HostError(
    'FENCED',
    `this host is no member of ${group} any more, another one may own its partitions: it joins again`,
    { cause },
  )

/** Once no transaction that moves them is open. */
async function committedPositions(
  brokers: Brokers,
  { requestTimeoutMs }: KafkaWriteSettings,
  { group, partition, topics = [] }: KafkaWriterOptions,
  deadline: Deadline,
): Promise<readonly CommittedPosition[]> {
  const coordinators = new Coordinators(brokers, requestTimeoutMs)
  // What is being decided of the others is theirs.
  const own = (positions: readonly CommittedPosition[]): CommittedPosition[] =>
    positions.filter((position) => position.partition === partition)
  const ask = async (
    of: readonly TopicPartition[] | null,
  ): Promise<readonly CommittedPosition[]> => {
    const { error, positions } = await coordinators.ask(
      {
        type: 'group',
        key: group,
        request: offsetFetch(group, of),
        error: ({ error, positions }) =>
          error === kafkaErrors.NONE ? worstOf(own(positions)) : error,
        lost: () => {},
      },
      deadline,
    )
    return checkPositions(brokers, group, { error, positions: own(positions) })
  }
  // By name first: among all of a group those are not named of which the very first is being decided.
  if (topics.length > 0) await ask(topics.map((topic) => ({ topic, partition })))
  return await ask(null)
}

class KafkaWriter implements LogWriter {
  readonly positions: readonly Position[]
  readonly #brokers: Brokers
  readonly #options: KafkaWriterOptions
  readonly #transactor: Transactor
  readonly #topicIds: Map<string, string>
  #member: GroupMember | undefined
  /** How it ended for good. */
  #end: CommitOutcome | undefined

  constructor(
    brokers: Brokers,
    options: KafkaWriterOptions,
    transactor: Transactor,
    topicIds: Map<string, string>,
    positions: readonly Position[],
  ) {
    this.#brokers = brokers
    this.#options = options
    this.#transactor = transactor
    this.#topicIds = topicIds
    this.#member = options.member
    this.positions = positions
  }

  async commit(commit: Commit): Promise<CommitOutcome> {
    const { records, positions, behind } = commit
    if (this.#brokers.signal.aborted) return { kind: 'failed', cause: logClosed() }
    if (this.#end !== undefined) return this.#end
    const isAbout = positions.length > 0 || records.length === 0
    const transaction: Transaction = {
      records,
      ...(behind === undefined ? {} : { behind }),
      // An empty commit, too, is answered by the fence: it tells whether this writer is the one.
      ...(isAbout ? { move: { member: this.#mover(), positions: this.#named(positions) } } : {}),
      ...(positions.length > 0
        ? { check: async (deadline) => await this.#check(commit, deadline) }
        : {}),
    }
    const outcome = await this.#transactor.run(transaction)
    switch (outcome.kind) {
      case 'committed':
        return {
          kind: 'committed',
          next: new Map(outcome.lanes.map((lane) => [lane.key, lane.next])),
          first: new Map(outcome.lanes.map((lane) => [lane.key, lane.bases[0] ?? -1])),
          leaderEpochs: await lastEpochs(this.#brokers, outcome.lanes),
        }
      case 'failed':
        return outcome
      case 'unknown':
        this.#end = outcome
        return outcome
      case 'fenced':
        this.#end = await this.#fenced()
        return this.#end
    }
  }

  async renew(): Promise<void> {
    this.#member = await this.#options.asMember?.()
  }

  /**
   * Its partition is another's, unless it is a member still: then nobody else has begun under its transactional id but the brokers,
   * which have given up a transaction that took too long.
   */
  async #fenced(): Promise<CommitOutcome> {
    const member = this.#member
    if (member === undefined) return { kind: 'fenced' }
    const settings = kafkaWriteSettings(this.#options.settings)
    const deadline = new Deadline(settings.deadlineMs, this.#brokers.signal)
    try {
      await checkMember(this.#brokers, settings, member, deadline)
    } catch (thrown) {
      if (thrown instanceof HostError && thrown.code === 'FENCED') return { kind: 'fenced' }
      // Who opens it anew asks again, and is told.
      return { kind: 'unknown', cause: asError(thrown) }
    }
    return { kind: 'unknown', cause: brokerUnavailable(new Error('its transaction was given up')) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end = { kind: 'fenced' }
  }

  /** With the ids of their topics, by which they are known for what they are should these be made anew. */
  #named(positions: readonly Position[]): PositionToCommit[] {
    return positions.map((position) => ({
      ...position,
      metadata: this.#topicIds.get(position.topic),
    }))
  }

  #mover(): GroupMember {
    return this.#member ?? { group: this.#options.group, generation: -1, member: '' }
  }

  /** A position from before must not become one of a topic of the same name. On the way it is looked who leads what is written. */
  async #check({ records, positions }: Commit, deadline: Deadline): Promise<Trouble | undefined> {
    const names = [...new Set(positions.map(({ topic }) => topic))]
    const asked = new Set(names)
    for (const { topic } of records) asked.add(topic)
    try {
      const now = await deadline.bound(this.#brokers.topicIds([...asked]))
      for (const name of names) {
        const id = now.get(name)
        let known = this.#topicIds.get(name)
        if (known === undefined && id !== undefined && this.#isUnnamed(name)) {
          this.#topicIds.set(name, id)
          known = id
        }
        if (id === undefined || id !== known) {
          return { kind: 'unknown', cause: topicMadeAnew(name) }
        }
      }
      return undefined
    } catch (thrown) {
      return { kind: 'failed', cause: asError(thrown) }
    }
  }

  /** Not asked for when the writer was opened: the first commit tells which one it is. */
  #isUnnamed(topic: string): boolean {
    const { topics } = this.#options
    return topics !== undefined && !topics.includes(topic)
  }
}
