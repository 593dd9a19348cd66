// The copy of one partition of a table: what its topic has, applied in order.
import type { Batch, Log, Position, TopicInfo, TopicPartition } from '../log/log.js'
import { recover } from '../tables/recovery.js'
import type { PartitionMeta, PartitionStore } from '../tables/store.js'
import type { Clock } from './clock.js'

export interface CopyOptions {
  readonly log: Log
  readonly tombstoneRetentionMs: number
  readonly clock: Clock
  readonly signal: AbortSignal
  warned(message: string, fields: Record<string, unknown>): void
}

/** Twenty times what lies, at least, between two looks at whether a quiet one is at its end. */
const shortestRetentionMs = 20_000

export class Copy {
  readonly topic: string
  readonly partition: number
  readonly store: PartitionStore
  readonly #options: CopyOptions
  /** It was brought up to its end, and what comes is applied. */
  isFollowing = false
  meta: PartitionMeta | undefined
  /** How long the topic keeps deletions. */
  retentionMs = Number.POSITIVE_INFINITY
  #waiting = 0
  /** Of the log as it was described: for batches that do not tell theirs. */
  #leaderEpoch = 0
  #written: Promise<void> = Promise.resolve()

  constructor({ topic, partition }: TopicPartition, store: PartitionStore, options: CopyOptions) {
    this.topic = topic
    this.partition = partition
    this.store = store
    this.#options = options
  }

  get isIdle(): boolean {
    return this.isFollowing && this.#waiting === 0
  }

  /** It was not known to be at the end for nearly as long as its topic keeps deletions: this process stood still, or was cut off. */
  get mayHaveMissedDeletions(): boolean {
    const { meta } = this
    // Of a topic that keeps them for less, one that is quiet could not be told from one that was away.
    if (meta === undefined || !this.isIdle || this.retentionMs < shortestRetentionMs) return false
    return this.#options.clock.wallTime() - meta.appliedAt > this.retentionMs * 0.9
  }

  /** Brings it up to the end, and says where to go on. Rejects as `recover` does. */
  async recover(changelog: TopicInfo): Promise<Position> {
    const { log, tombstoneRetentionMs, clock, signal, warned } = this.#options
    const { topic, partition } = this
    this.retentionMs = changelog.tombstoneRetentionMs ?? tombstoneRetentionMs
    this.#leaderEpoch = changelog.partitions[partition]?.leaderEpoch ?? 0
    const { meta } = await recover({
      log,
      store: this.store,
      partition,
      changelog,
      // Somebody else writes it: what is not decided yet comes later.
      upTo: 'stable end',
      tombstoneRetentionMs: this.retentionMs,
      wallTime: () => clock.wallTime(),
      onHeldUp: () => {},
      onWiped: (reason) => warned(`the copy of ${topic} is made anew: ${reason}`, { partition }),
      onProgress: () => {},
      signal,
    })
    this.meta = meta
    this.isFollowing = true
    const { next: offset, leaderEpoch } = meta.changelog
    return { topic, partition, offset, leaderEpoch }
  }

  /** Resolves when it is stored. One after another. */
  async apply(batch: Batch): Promise<void> {
    this.#waiting += 1
    const written = this.#written.then(() => this.#apply(batch))
    this.#written = written.catch(() => {
      // What comes behind a batch that is missing must not be stored.
      this.isFollowing = false
    })
    try {
      await written
    } finally {
      this.#waiting -= 1
    }
  }

  /** Nothing is being written. */
  async settled(): Promise<void> {
    await this.#written
  }

  /** Notes that it is at the end, if it is. */
  async refresh(changelog: TopicInfo | undefined): Promise<void> {
    const { meta } = this
    const end = changelog?.partitions[this.partition]?.stableEnd
    if (!this.isIdle || meta === undefined || end === undefined || meta.changelog.next < end) return
    if (changelog?.id !== meta.changelog.topicId) return
    this.#written = this.#written.then(() => this.#write([], meta)).catch(() => {})
    await this.#written
  }

  async #apply(batch: Batch): Promise<void> {
    const { records, next, stableEnd, leaderEpoch = this.#leaderEpoch } = batch
    const { meta } = this
    if (meta === undefined || !this.isFollowing) return
    const changelog = { ...meta.changelog, next, leaderEpoch }
    await this.#write(records, { ...meta, changelog }, next >= stableEnd)
  }

  async #write(records: Batch['records'], meta: PartitionMeta, isAtEnd = true): Promise<void> {
    const changes = records.flatMap(({ key, value }) =>
      key === null ? [] : [[key, value] as const],
    )
    const next = isAtEnd ? { ...meta, appliedAt: this.#options.clock.wallTime() } : meta
    await this.store.write(changes, next)
    this.meta = next
  }
}
