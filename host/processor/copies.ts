// Copies of tables that others write: each brought up to its end before who reads it begins, and kept there.
import type { Hasher } from '../../sdk/topic.js'
import { asHostError, HostError } from '../errors.js'
import { type Batch, keyOf, type Log, type TopicInfo, type TopicPartition } from '../log/log.js'
import { partitionOf } from '../log/partitioner.js'
import type { TableStore } from '../tables/store.js'
import { backoffMs, type Clock } from './clock.js'
import { Copy } from './copy.js'
import { Feed } from './feed.js'

/** `join`: the partitions of the function's own numbers. `lookup`: all of them, however many there are. */
export interface CopiedTable {
  readonly kind: 'join' | 'lookup'
  /** By which the function knows it. */
  readonly table: string
  readonly topic: string
  /** By which its keys are placed. */
  readonly hasher: Hasher
}

export interface CopiesOptions {
  readonly log: Log
  readonly store: TableStore
  readonly tables: readonly CopiedTable[]
  /** Of the function, which those of a joined table have to agree with. */
  readonly function: string
  readonly partitions: number
  readonly tombstoneRetentionMs: number
  readonly clock: Clock
  /** Ends early when the signal is aborted. */
  rest(ms: number): Promise<void>
  readonly signal: AbortSignal
  /** Which copies are not ready, in words; empty: none. */
  waiting(whatFor: readonly string[]): void
  warned(message: string, fields: Record<string, unknown>): void
  /** A copy that was read is not what it should be any more: nobody may read while `mend` is under way. */
  interrupted(mend: () => Promise<void>): void
  /** The store takes nothing any more. */
  detached(cause: unknown): void
  /** What does not pass by itself. */
  failed(error: HostError, partition: number): void
}

/** Read and not written yet: more makes the reader wait. */
const maxWaitingBytes = 8 * 1024 * 1024

export class Copies implements AsyncDisposable {
  readonly #options: CopiesOptions
  readonly #feed: Feed
  readonly #copies = new Map<string, Copy>()
  readonly #opening = new Map<string, Promise<void>>()
  /** Of looked-up tables. */
  readonly #counts = new Map<string, number>()
  readonly #waiting = new Map<string, string>()
  #isStopped = false

  constructor(options: CopiesOptions) {
    this.#options = options
    this.#feed = new Feed({
      reader: options.log.reader(),
      deliver: (batch) => this.#deliver(batch),
      failed: (error, failures) => this.#readFailed(error, failures),
    })
  }

  /** All that is known to be in their topics is stored. */
  get isIdle(): boolean {
    return this.#opening.size === 0 && [...this.#copies.values()].every((copy) => copy.isIdle)
  }

  /** How far each has come: the offset behind what is stored. */
  positions(): readonly (TopicPartition & { readonly offset: number })[] {
    return [...this.#copies.values()].map(({ topic, partition, meta }) => ({
      topic,
      partition,
      offset: meta?.changelog.next ?? 0,
    }))
  }

  async start(): Promise<void> {
    this.#feed.start()
    const topics = new Set(this.#options.tables.map(({ topic }) => topic))
    for (const of of await this.#options.store.copies()) {
      // Of a version before.
      if (!topics.has(of.topic)) await this.#options.store.copy(of).wipe()
    }
  }

  /** Resolves when all that a task of the partition reads is as it was in the log at the call, or later. */
  async ready(partition: number): Promise<void> {
    const waits: Promise<void>[] = []
    for (const one of this.#options.tables) {
      const { partitions } = await this.#described(one)
      if (one.kind === 'join') this.#copartitioned(one, partitions.length)
      else this.#counts.set(one.topic, partitions.length)
      const numbers = one.kind === 'join' ? [partition] : partitions.map((info) => info.partition)
      for (const number of numbers) waits.push(this.#opened(one, number))
    }
    await Promise.all(waits)
  }

  /** The value's bytes. Throws STORE_FAILED, STORE_DAMAGED. */
  get({ kind, topic, hasher }: CopiedTable, partition: number, key: Buffer): Buffer | undefined {
    const count = this.#counts.get(topic) ?? 1
    const number = kind === 'join' ? partition : partitionOf(key, count, hasher)
    return this.#copies.get(keyOf({ topic, partition: number }))?.store.get(key)
  }

  /** Notes in the store which of them are at their end, should that have been noted longer ago. */
  async refresh(olderThanMs: number): Promise<void> {
    const { log, clock } = this.#options
    const quiet = [...this.#copies.values()].filter(
      ({ meta, isIdle }) =>
        meta !== undefined && isIdle && clock.wallTime() - meta.appliedAt >= olderThanMs,
    )
    if (quiet.length === 0) return
    try {
      const topics = await log.describe([...new Set(quiet.map(({ topic }) => topic))])
      await Promise.all(quiet.map((copy) => copy.refresh(topics.get(copy.topic))))
    } catch {
      // The next time, then: it may not be asked, or written, for the moment.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isStopped) return
    this.#isStopped = true
    await this.#feed[Symbol.asyncDispose]()
    await Promise.allSettled([...this.#opening.values()])
    await Promise.all([...this.#copies.values()].map((copy) => copy.settled()))
  }

  /** Waits for a topic that nobody has made yet. */
  async #described(one: CopiedTable): Promise<TopicInfo> {
    const { log, rest, signal } = this.#options
    const what = `the ${one.kind} ${one.table}: the topic ${one.topic} does not exist yet, whoever writes the table makes it`
    for (let attempt = 0; ; attempt += 1) {
      signal.throwIfAborted()
      const found = (await log.describe([one.topic])).get(one.topic)
      if (found !== undefined) {
        this.#waited(`${one.kind} ${one.topic}`)
        return found
      }
      this.#waitsFor(`${one.kind} ${one.topic}`, what)
      await rest(backoffMs(attempt, 50, 1_000))
    }
  }

  #copartitioned({ table, topic }: CopiedTable, count: number): void {
    const { partitions, function: name } = this.#options
    if (count === partitions) return
    throw new HostError(
      'TOPIC_MISMATCH',
      `${name}: its inputs have ${partitions} partitions, the joined table ${table} has ${count} (${topic}): a join needs the same number, so that a key is in the same partition of each; take the table as a lookup, which may have any number, or make one of the topics anew`,
      { function: name, stream: topic },
    )
  }

  #opened({ kind, table, topic }: CopiedTable, partition: number): Promise<void> {
    const at = { topic, partition }
    const key = keyOf(at)
    const known = this.#copies.get(key)
    const under = this.#opening.get(key)
    if (under !== undefined) return under
    if (known?.isFollowing === true) return Promise.resolve()
    const copy = known ?? new Copy(at, this.#options.store.copy(at), this.#options)
    this.#copies.set(key, copy)
    const what = `the ${kind} ${table}, partition ${partition}`
    const opening = this.#open(copy, key, what).finally(() => this.#opening.delete(key))
    this.#opening.set(key, opening)
    return opening
  }

  async #open(copy: Copy, key: string, what: string): Promise<void> {
    const { log, rest, signal, warned } = this.#options
    this.#waitsFor(key, what)
    for (let attempt = 0; ; attempt += 1) {
      signal.throwIfAborted()
      try {
        const topic = (await log.describe([copy.topic])).get(copy.topic)
        if (topic === undefined) {
          throw new HostError('BROKER_UNAVAILABLE', `the topic ${copy.topic} is not there`)
        }
        this.#feed.seek(await copy.recover(topic))
        break
      } catch (thrown) {
        const error = asHostError(thrown, 'LOG_FAILED')
        if (signal.aborted || !error.retryable) throw error
        if (attempt === 0) warned(`${what} cannot be copied yet: ${error.message}`, {})
        await rest(backoffMs(attempt, 50, 5_000))
      }
    }
    this.#waited(key)
  }

  #deliver(batch: Batch): boolean {
    const copy = this.#copies.get(keyOf(batch))
    if (copy === undefined) return true
    void copy.apply(batch).then(
      () => {
        if (copy.waitingBytes <= maxWaitingBytes / 2) this.#feed.resume(copy)
      },
      (cause: unknown) => {
        if (!this.#isStopped) this.#options.detached(cause)
      },
    )
    return copy.waitingBytes <= maxWaitingBytes
  }

  async #readFailed(error: HostError, failures: number): Promise<void> {
    const { stream: topic, partition } = error
    const isGone = error.code === 'UNKNOWN_TOPIC' || error.code === 'OFFSET_OUT_OF_RANGE'
    if (isGone) {
      const lost = [...this.#copies.values()].filter(
        (copy) =>
          copy.topic === topic &&
          // A topic that is another one is so in each of its partitions.
          (error.code === 'UNKNOWN_TOPIC' || copy.partition === (partition ?? copy.partition)),
      )
      for (const copy of lost) {
        copy.isFollowing = false
        this.#feed.forget(copy)
      }
      this.#options.interrupted(() => this.#mend(lost))
      return
    }
    if (!error.retryable) {
      this.#options.failed(error, partition ?? 0)
      return
    }
    if (failures === 1) {
      this.#options.warned(`copies of tables cannot be read on, trying again: ${error.message}`, {
        code: error.code,
      })
    }
    await this.#options.rest(backoffMs(failures, 20, 1_000))
  }

  async #mend(lost: readonly Copy[]): Promise<void> {
    await Promise.all(
      lost.map(async (copy) => {
        await copy.settled()
        const one = this.#options.tables.find(({ topic }) => topic === copy.topic)
        if (one === undefined) return
        const { partitions } = await this.#described(one)
        if (one.kind === 'join') {
          this.#copartitioned(one, partitions.length)
          await this.#opened(one, copy.partition)
        } else {
          // Made anew it may have more of them, or fewer.
          this.#counts.set(one.topic, partitions.length)
          await Promise.all(partitions.map((info) => this.#opened(one, info.partition)))
        }
      }),
    )
  }

  #waitsFor(key: string, what: string): void {
    if (this.#waiting.get(key) === what) return
    this.#waiting.set(key, what)
    this.#options.waiting([...this.#waiting.values()])
  }

  #waited(key: string): void {
    if (this.#waiting.delete(key)) this.#options.waiting([...this.#waiting.values()])
  }
}
