// Copies of tables that others write: each brought up to its end before who reads it begins, and kept there.
import type { Hasher } from '../../sdk/topic.js'
import { asHostError, HostError } from '../errors.js'
import { type Batch, keyOf, type Log, type TopicInfo, type TopicPartition } from '../log/log.js'
import { partitionOf } from '../log/partitioner.js'
import type { Apply } from '../tables/recovery.js'
import type { TableStore } from '../tables/store.js'
import { unlessAborted } from '../within.js'
import { CatchingUp } from './catching-up.js'
import { backoffMs, type Clock } from './clock.js'
import { CopiedTopics } from './copied-topics.js'
import { Copy } from './copy.js'
import { Feed } from './feed.js'
import { Slots } from './slots.js'

/**
 * `join`: the partitions of the function's own numbers. `lookup`: all of them, however many there are. `view`: the partitions of the
 * store's own numbers, in the place of a table of its own. `standby`: partitions of the function's own table that others write, in
 * their place.
 */
export interface CopiedTable {
  readonly kind: 'join' | 'lookup' | 'view' | 'standby'
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
  /** Whether it is noted now and then that quiet ones are at their ends. */
  readonly isRefreshed: boolean
  readonly clock: Clock
  /** Ends early when the signal is aborted. */
  rest(ms: number): Promise<void>
  readonly signal: AbortSignal
  /** Absent: as it lies in the topics. */
  readonly apply?: Apply
  /** A copy is brought up: the offset behind what is stored, and the end. */
  progressed?(partition: number, next: number, end: number): void
  /** As in `CopyOptions`. */
  wiping?(partition: number): Promise<void>
  /** More of a partition is stored: `next` is the offset behind it. */
  stored?(partition: number, next: number, records: number): void
  /** Their topics could not be read: what is stored may be old. Undefined: all is stored that they had when they could be again. */
  cutOff?(error: HostError | undefined): void
  /** Which copies are not ready, in words; empty: none. */
  waiting(whatFor: readonly string[]): void
  warned(message: string, fields: Record<string, unknown>): void
  /** Copies that were read are not what they should be any more: nobody may read until `mend` has settled. */
  interrupted(partitions: readonly number[]): void
  /** The store takes nothing any more. */
  detached(cause: unknown): void
  /** What does not pass by itself. The copy is broken until `mend`. */
  failed(error: HostError): void
}

/** Read and not written yet, of all of them: more makes the reader wait. */
const maxWaitingBytes = 16 * 1024 * 1024
/** Each is read by a reader of its own while it is brought up. */
const maxOpenings = 8
/** For what is good to know, and not worth waiting for. */
const soonMs = 1_000
const [shortestRefreshMs, longestRefreshMs] = [1_000, 60 * 60 * 1000]
/** Between two looks at whether topics are others, or have more partitions, at most. */
const lookMs = 60_000

export class Copies implements AsyncDisposable {
  readonly #options: CopiesOptions
  readonly #feed: Feed
  readonly #copies = new Map<string, Copy>()
  readonly #opening = new Map<string, Promise<void>>()
  readonly #slots = new Slots(maxOpenings)
  /** Brought up, and not read on: held. */
  readonly #heldBack = new Set<Copy>()
  readonly #topics: CopiedTopics
  readonly #paused = new Set<Copy>()
  /** By partition: settles when nothing of what was left is under way. */
  readonly #leaving = new Map<number, Promise<unknown>>()
  readonly #catchingUp: CatchingUp | undefined
  #waitingBytes = 0
  #isHeld = false
  #isStopped = false
  #isDetached = false
  #refreshMs = Number.POSITIVE_INFINITY
  #callOffRefresh: () => void = () => {}

  constructor(options: CopiesOptions) {
    this.#options = options
    this.#topics = new CopiedTopics(options)
    this.#feed = new Feed({
      reader: options.log.reader(),
      deliver: (batch) => this.#deliver(batch),
      failed: (error, failures) => this.#readFailed(error, failures),
    })
    const { cutOff } = options
    if (cutOff !== undefined) this.#catchingUp = this.#catchesUp(cutOff)
  }

  /** All that is known to be in their topics is stored. */
  get isIdle(): boolean {
    return this.#opening.size === 0 && [...this.#copies.values()].every((copy) => copy.isIdle)
  }

  /** Some of them were lost, and nobody is at mending them. */
  get isBroken(): boolean {
    return [...this.#copies.values()].some(({ isFollowing }) => !isFollowing)
  }

  /** How far each has come: the offset behind what is stored. */
  positions(): readonly (TopicPartition & { readonly offset: number })[] {
    return [...this.#copies.values()].map(({ topic, partition, meta }) => ({
      topic,
      partition,
      offset: meta?.changelog.next ?? 0,
    }))
  }

  start(): void {
    this.#feed.start()
  }

  /** The partitions of which something was lost, and is not mended. */
  get lost(): readonly number[] {
    return [...this.#copies.values()].flatMap((copy) => (copy.isFollowing ? [] : copy.partition))
  }

  /**
   * Resolves when all that a task of the partition reads is as it was in the log at the call, or later. `signal`: nobody waits any more,
   * and nothing is begun.
   */
  async ready(partition: number, signal: AbortSignal = this.#options.signal): Promise<void> {
    await this.#leaving.get(partition)
    for (const one of this.#options.tables) {
      const topic = await this.#topics.described(one)
      signal.throwIfAborted()
      if (one.kind === 'lookup') await this.#lookedUp(one, topic)
      else {
        this.#topics.copartitioned(one, topic)
        await this.#opened(one, partition, topic)
      }
    }
  }

  /**
   * What is joined with the partition, or is its table, is not copied any more: it is brought up anew should it be asked for. Resolves
   * when nothing is written there; what is stored stays.
   */
  async leave(partition: number): Promise<void> {
    const { tables } = this.#options
    const isLookedUp = (topic: string) =>
      tables.some((one) => one.kind === 'lookup' && one.topic === topic)
    const left = [...this.#copies].filter(
      ([, copy]) => copy.partition === partition && !isLookedUp(copy.topic),
    )
    const ends = left.map(([key, copy]) => {
      this.#copies.delete(key)
      // Not waited for: one that waits for its turn writes nothing any more.
      this.#opening.delete(key)
      this.#heldBack.delete(copy)
      this.#paused.delete(copy)
      this.#forget([copy])
      this.#topics.waited(key)
      return copy.end()
    })
    const leaving = Promise.all([this.#leaving.get(partition), ...ends]).finally(() => {
      if (this.#leaving.get(partition) === leaving) this.#leaving.delete(partition)
    })
    this.#leaving.set(partition, leaving)
    await leaving
  }

  /** Resolves when what was read is stored, and no more is until `release`. */
  async hold(): Promise<void> {
    this.#isHeld = true
    for (const copy of this.#copies.values()) {
      this.#feed.forget(copy)
      if (copy.isFollowing) this.#heldBack.add(copy)
    }
    await Promise.all([...this.#copies.values()].map((copy) => copy.settled()))
  }

  /** Never rejects. They are read on when it is known that their topics are those that they were. */
  async release(): Promise<void> {
    if (!this.#isHeld) return
    this.#isHeld = false
    try {
      for (const one of this.#options.tables) {
        const found = await this.#topics.described(one)
        const own = [...this.#heldBack].filter(({ topic }) => topic === one.topic)
        if (this.#isHeld || this.#isStopped) return
        for (const copy of own) this.#heldBack.delete(copy)
        const others = own.filter((copy) => this.#topics.isAnother(copy, found))
        for (const copy of own) if (!others.includes(copy)) this.#follow(copy)
        this.#lose(others)
      }
    } catch (error) {
      if (this.#isStopped) return
      this.#forget([...this.#heldBack])
      this.#heldBack.clear()
      this.#options.failed(asHostError(error, 'LOG_FAILED'))
    }
  }

  /** Removes a key until its next record comes. Rejects as `Copy.evict` does. */
  async evict(at: TopicPartition, key: Buffer): Promise<void> {
    const copy = this.#copies.get(keyOf(at))
    if (copy !== undefined) return await copy.evict(key)
    throw new HostError('RECOVERING', `partition ${at.partition} of ${at.topic} is not copied yet`)
  }

  /** Brings up what was lost. Rejects with what does not pass by itself: it stays broken then. */
  async mend(): Promise<void> {
    for (const one of this.#options.tables) {
      const lost = [...this.#copies.values()].filter(
        ({ topic, isFollowing }) => topic === one.topic && !isFollowing,
      )
      if (lost.length === 0) continue
      const topic = await this.#topics.described(one)
      if (one.kind === 'lookup') await this.#lookedUp(one, topic)
      else {
        this.#topics.copartitioned(one, topic)
        for (const copy of lost) await this.#opened(one, copy.partition, topic)
      }
    }
  }

  /** The value's bytes. Throws STORE_FAILED, STORE_DAMAGED; RECOVERING of one that is not what its topic says. */
  get(
    { kind, table, topic, hasher }: CopiedTable,
    partition: number,
    key: Buffer,
  ): Buffer | undefined {
    const count = this.#topics.count(topic) ?? 1
    const number = kind === 'join' ? partition : partitionOf(key, count, hasher)
    const copy = this.#copies.get(keyOf({ topic, partition: number }))
    if (copy?.isFollowing !== true) {
      throw new HostError('RECOVERING', `the copy of ${table}, partition ${number} is made anew`)
    }
    return copy.store.get(key)
  }

  /** Notices topics that are others, and notes in the store which copies are at their end, should that have been noted longer ago. */
  async refresh(olderThanMs: number): Promise<void> {
    const { log, tables, clock, rest } = this.#options
    try {
      const names = tables.map(({ topic }) => topic)
      // Whoever drains does not wait for a log that is away.
      const topics = await Promise.race([log.describe(names), rest(soonMs)])
      if (topics === undefined || this.#isHeld) return
      const known = [...this.#copies].filter(([key]) => !this.#opening.has(key))
      const copies = known.map(([, copy]) => copy)
      this.#lose(copies.filter((copy) => this.#topics.isAnother(copy, topics.get(copy.topic))))
      const due = copies.filter(
        ({ meta, isFollowing }) =>
          meta !== undefined && isFollowing && clock.wallTime() - meta.appliedAt >= olderThanMs,
      )
      await Promise.all(due.map((copy) => copy.refresh(topics.get(copy.topic))))
    } catch {
      // The next time, then: it may not be asked, or written, for the moment.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#callOffRefresh()
    await this.#feed[Symbol.asyncDispose]()
    await Promise.allSettled([...this.#opening.values(), ...this.#leaving.values()])
    await Promise.all([...this.#copies.values()].map((copy) => copy.settled()))
  }

  /** Each partition is there before the first key is looked for among so many. */
  async #lookedUp(one: CopiedTable, topic: TopicInfo): Promise<void> {
    const count = topic.partitions.length
    await Promise.all(topic.partitions.map(({ partition }) => this.#opened(one, partition, topic)))
    // Of one that had more.
    for (const copy of this.#copies.values()) {
      if (copy.topic !== one.topic || copy.partition < count) continue
      this.#copies.delete(keyOf(copy))
      this.#feed.forget(copy)
      await copy.settled()
      await copy.store.wipe()
    }
    this.#topics.counted(one.topic, count)
  }

  #opened({ kind, table, topic }: CopiedTable, partition: number, info: TopicInfo): Promise<void> {
    const at = { topic, partition }
    const key = keyOf(at)
    const known = this.#copies.get(key)
    const under = this.#opening.get(key)
    if (under !== undefined) return under
    if (known?.isFollowing === true) return Promise.resolve()
    const { store } = this.#options
    const isOther = kind === 'join' || kind === 'lookup'
    const own = () => (isOther ? store.copy(at) : store.partition(partition))
    const copy = known ?? new Copy(at, own(), this.#options)
    this.#copies.set(key, copy)
    const what = `the ${isOther ? `${kind} ${table}` : `copy of ${topic}`}, partition ${partition}`
    const opening = this.#open(copy, key, what, info).finally(() => {
      // Left meanwhile, another may be under way.
      if (this.#opening.get(key) === opening) this.#opening.delete(key)
    })
    this.#opening.set(key, opening)
    // Whoever waits for it is told; one who waits for another first must not end the thread.
    opening.catch(() => {})
    return opening
  }

  async #open(copy: Copy, key: string, what: string, described: TopicInfo): Promise<void> {
    const { log, rest, warned } = this.#options
    const { signal } = copy
    let topic: TopicInfo | undefined = described
    this.#topics.waitsFor(key, what)
    for (let attempt = 0; ; attempt += 1) {
      signal.throwIfAborted()
      try {
        topic ??= (await log.describe([copy.topic])).get(copy.topic)
        if (topic === undefined) {
          throw new HostError('UNKNOWN_TOPIC', `the topic ${copy.topic} is not there`)
        }
        const found = topic
        const progressed = (next: number, end: number) => {
          // Left while it was stored: nobody would say that it is not waited for any more.
          if (signal.aborted) return
          this.#topics.waitsFor(key, `${what}: at ${next} of ${end}`)
          this.#options.progressed?.(copy.partition, next, end)
        }
        await this.#slots.run(() => copy.recover(found, progressed))
        signal.throwIfAborted()
        this.#options.stored?.(copy.partition, copy.position.offset, 0)
        if (this.#isHeld) this.#heldBack.add(copy)
        else this.#follow(copy)
        this.#refreshWithin(Math.max(copy.retentionMs / 20, shortestRefreshMs))
        break
      } catch (thrown) {
        const error = asHostError(thrown, 'LOG_FAILED')
        // It is deleted, or made anew, just now.
        const isInFlux = error.code === 'UNKNOWN_TOPIC'
        // A store that has refused once takes nothing more.
        const isOver = error.code === 'STORE_FAILED' || !(error.retryable || isInFlux)
        if (signal.aborted || isOver) throw error
        if (attempt === 0) warned(`${what} cannot be copied yet: ${error.message}`, {})
        await unlessAborted(rest(backoffMs(attempt, 50, 5_000)), signal)
        topic = undefined
      }
    }
    this.#topics.waited(key)
    this.#catchingUp?.check()
  }

  #deliver(batch: Batch): boolean {
    const copy = this.#copies.get(keyOf(batch))
    if (copy === undefined || !copy.isFollowing) return true
    if (copy.mayHaveMissedDeletions) {
      this.#lose([copy])
      return true
    }
    const bytes = bytesOf(batch)
    this.#waitingBytes += bytes
    void this.#apply(copy, batch).finally(() => {
      this.#waitingBytes -= bytes
      if (this.#waitingBytes > maxWaitingBytes / 2) return
      for (const paused of this.#paused) this.#feed.resume(paused)
      this.#paused.clear()
    })
    if (this.#waitingBytes <= maxWaitingBytes) return true
    this.#paused.add(copy)
    return false
  }

  /** Never rejects. */
  async #apply(copy: Copy, batch: Batch): Promise<void> {
    try {
      const { records, failure } = await copy.apply(batch)
      if (failure !== undefined) {
        this.#forget([copy])
        this.#options.failed(failure)
      }
      const { next = 0 } = copy.meta?.changelog ?? {}
      this.#options.stored?.(copy.partition, next, records)
      this.#catchingUp?.check()
    } catch (cause) {
      this.#refused(cause)
    }
  }

  #follow(copy: Copy): void {
    if (copy.isFollowing) this.#feed.seek(copy.position)
  }

  #refused(cause: unknown): void {
    if (this.#isStopped || this.#isDetached) return
    this.#isDetached = true
    this.#options.detached(cause)
  }

  async #readFailed(error: HostError, failures: number): Promise<void> {
    const { stream: topic, partition } = error
    const of = [...this.#copies.values()].filter((copy) => copy.topic === (topic ?? copy.topic))
    if (error.code === 'UNKNOWN_TOPIC' || error.code === 'OFFSET_OUT_OF_RANGE') {
      // A topic that is another one is so in each of its partitions.
      const isAll = error.code === 'UNKNOWN_TOPIC' || partition === undefined
      this.#lose(of.filter((copy) => isAll || copy.partition === partition))
      return
    }
    if (!error.retryable) {
      this.#forget(of.filter((copy) => copy.partition === (partition ?? copy.partition)))
      this.#options.failed(error)
      return
    }
    this.#catchingUp?.cutOff(error)
    if (failures === 1) {
      this.#options.warned(`copies of tables cannot be read on, trying again: ${error.message}`, {
        code: error.code,
      })
    }
    await this.#options.rest(backoffMs(failures, 20, 1_000))
  }

  #catchesUp(changed: (error: HostError | undefined) => void): CatchingUp {
    const { log, rest, signal, tables } = this.#options
    return new CatchingUp({
      log,
      topics: () => tables.map(({ topic }) => topic),
      isOf: ({ name, id }) =>
        [...this.#copies.values()].every(
          ({ topic, meta }) => topic !== name || meta?.changelog.topicId === id,
        ),
      has: (topic, partition, end) => {
        const copy = this.#copies.get(keyOf({ topic, partition }))
        // Of the function's own table others than those that are kept may be its tasks'.
        if (copy === undefined) return tables.some(({ kind }) => kind === 'standby')
        return copy.isFollowing && (copy.meta?.changelog.next ?? 0) >= end
      },
      rest,
      signal,
      changed,
    })
  }

  /** Often enough that none of them is taken for one that was away. */
  #refreshWithin(ms: number): void {
    const isOftenEnough = Math.min(ms, longestRefreshMs) >= this.#refreshMs
    if (isOftenEnough || !this.#options.isRefreshed || this.#isStopped) return
    this.#refreshMs = Math.min(ms, longestRefreshMs)
    this.#refreshLater()
  }

  #refreshLater(): void {
    this.#callOffRefresh()
    this.#callOffRefresh = this.#options.clock.after(Math.min(this.#refreshMs, lookMs), () => {
      void this.refresh(this.#refreshMs)
      this.#refreshLater()
    })
  }

  /** They are not what their topics say, and are brought up anew. */
  #lose(lost: readonly Copy[]): void {
    if (lost.length === 0 || this.#isStopped) return
    this.#forget(lost)
    const topics = [...new Set(lost.map(({ topic }) => topic))].join(', ')
    const isRead = this.#options.tables.some(({ kind }) => kind !== 'standby')
    this.#options.warned(
      `${topics} is gone, is another topic than before, or has no more what follows: it is copied anew${isRead ? ', and no record is handled until then' : ''}`,
      {},
    )
    this.#options.interrupted(lost.map(({ partition }) => partition))
  }

  #forget(lost: readonly Copy[]): void {
    for (const copy of lost) {
      copy.isFollowing = false
      this.#feed.forget(copy)
    }
  }
}

/** Those that a version before has read, and this one does not. */
export async function dropOtherCopies(store: TableStore, topics: readonly string[]): Promise<void> {
  for (const of of await store.copies()) {
    if (!topics.includes(of.topic)) await store.copy(of).wipe()
  }
}

const bytesOf = ({ records }: Batch): number =>
  records.reduce((sum, { valueBytes, key }) => sum + valueBytes + (key?.length ?? 0) + 64, 64)
