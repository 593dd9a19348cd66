// The copy of one partition of a table: what its topic has, applied in order.
import { HostError } from '../errors.js'
import type { Batch, Log, Position, TopicInfo, TopicPartition } from '../log/log.js'
import { positionsIn } from '../tables/positions.js'
import { type Apply, metaBehind, putAll, recover } from '../tables/recovery.js'
import type { Change, PartitionMeta, PartitionStore } from '../tables/store.js'
import type { Clock } from './clock.js'

export interface CopyOptions {
  readonly log: Log
  readonly tombstoneRetentionMs: number
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly apply?: Apply
  /** As in `GroupEvents`; absent: it is no table that is shown. */
  wiping?(partition: number): Promise<void>
  warned(message: string, fields: Record<string, unknown>): void
}

/** What became of a batch. */
interface Taken {
  readonly records: number
  /** Why not all of it could be applied. */
  readonly failure?: HostError
}

/** Twenty times what lies, at least, between two looks at whether a quiet one is at its end. */
const shortestRetentionMs = 20_000

export class Copy {
  readonly topic: string
  readonly partition: number
  readonly store: PartitionStore
  /** Aborted: it is not brought up any more. */
  readonly signal: AbortSignal
  readonly #options: CopyOptions
  readonly #left = new AbortController()
  /** It was brought up to its end, and what comes is applied. */
  isFollowing = false
  /** It is brought up just now: what is stored may be of another topic, or older than it was. */
  isRecovering = false
  meta: PartitionMeta | undefined
  /** How long the topic keeps deletions. */
  retentionMs = Number.POSITIVE_INFINITY
  #waiting = 0
  /** Of the log as it was described: for batches that do not tell theirs. */
  #leaderEpoch = 0
  #written: Promise<void> = Promise.resolve()
  #recovering: Promise<void> = Promise.resolve()

  constructor({ topic, partition }: TopicPartition, store: PartitionStore, options: CopyOptions) {
    this.topic = topic
    this.partition = partition
    this.store = store
    this.#options = options
    this.signal = AbortSignal.any([options.signal, this.#left.signal])
  }

  /** Nobody reads it any more. When it resolves nothing is written through it: what was under way is stored, or given up. */
  async end(): Promise<void> {
    this.isFollowing = false
    this.#left.abort(new HostError('STOPPING', `the copy of ${this.topic} is not read any more`))
    await this.#recovering
    await this.#written
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

  /** Of what is stored; undefined: nothing is. */
  get topicId(): string | undefined {
    // One that could not be brought up has stored more than is known of it here.
    return (this.isFollowing ? this.meta : this.store.meta())?.changelog.topicId
  }

  /** Behind what is stored. */
  get position(): Position {
    const { topic, partition } = this
    const { next: offset, leaderEpoch } = this.meta?.changelog ?? { next: 0, leaderEpoch: 0 }
    return { topic, partition, offset, leaderEpoch }
  }

  /** Brings it up to the end; `progressed` is told the offset behind what is stored, and the end. Rejects as `recover` does. */
  async recover(
    changelog: TopicInfo,
    progressed: (next: number, end: number) => void,
  ): Promise<void> {
    const recovering = this.#recover(changelog, progressed)
    this.#recovering = recovering.catch(() => {})
    await recovering
  }

  async #recover(
    changelog: TopicInfo,
    progressed: (next: number, end: number) => void,
  ): Promise<void> {
    const { log, tombstoneRetentionMs, clock, warned, apply = putAll } = this.#options
    const { topic, partition, signal } = this
    // What is on its way would land on top of what is brought up.
    await this.#written
    signal.throwIfAborted()
    this.retentionMs = changelog.tombstoneRetentionMs ?? tombstoneRetentionMs
    this.#leaderEpoch = changelog.partitions[partition]?.leaderEpoch ?? 0
    this.isRecovering = true
    const { meta } = await recover({
      log,
      store: this.store,
      partition,
      changelog,
      // Somebody else writes it: what is not decided yet comes later.
      upTo: 'stable end',
      apply,
      tombstoneRetentionMs: this.retentionMs,
      wallTime: () => clock.wallTime(),
      onHeldUp: () => {},
      wiping: async () => await this.#options.wiping?.(partition),
      onWiped: (reason) => warned(`the copy of ${topic} is made anew: ${reason}`, { partition }),
      onProgress: (_, next, end) => progressed(next, end),
      signal,
    }).finally(() => {
      this.isRecovering = false
    })
    signal.throwIfAborted()
    await this.store.write([], meta)
    this.meta = meta
    this.isFollowing = true
  }

  /** Resolves when it is stored; what is behind a failure is not. One after another. */
  async apply(batch: Batch): Promise<Taken> {
    this.#waiting += 1
    const applied = this.#written.then(() => this.#apply(batch))
    this.#written = applied.then(
      () => {},
      () => {
        // What comes behind a batch that is missing must not be stored.
        this.isFollowing = false
      },
    )
    try {
      return await applied
    } finally {
      this.#waiting -= 1
    }
  }

  /** Removes a key until its next record comes. Rejects with RECOVERING while it is brought up, and with what the store does. */
  async evict(key: Buffer): Promise<void> {
    const evicted = this.#written.then(async () => {
      const meta = this.isRecovering ? undefined : this.store.meta()
      if (meta !== undefined) await this.store.write([[key, null]], meta)
      else throw new HostError('RECOVERING', `the copy of ${this.topic} is brought up: try again`)
    })
    this.#written = evicted.catch(() => {})
    await evicted
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
    this.#written = this.#written.then(() => this.#write([], meta, true)).catch(() => {})
    await this.#written
  }

  async #apply(batch: Batch): Promise<Taken> {
    const { stableEnd, leaderEpoch = this.#leaderEpoch } = batch
    const { meta } = this
    // What was read from another place than where it stands now is read again from there.
    const isNext = batch.from === meta?.changelog.next
    if (meta === undefined || !isNext || !this.isFollowing) return { records: 0 }
    const { changes, next, failure } = (this.#options.apply ?? putAll)(batch, this.store)
    const moved = metaBehind(meta, { next, leaderEpoch }, positionsIn(batch))
    await this.#write(changes, moved, next >= stableEnd)
    if (failure === undefined) return { records: batch.records.length }
    this.isFollowing = false
    const records = batch.records.filter(({ offset }) => offset < next).length
    return { records, failure }
  }

  async #write(changes: readonly Change[], meta: PartitionMeta, isAtEnd: boolean): Promise<void> {
    const next = isAtEnd ? { ...meta, appliedAt: this.#options.clock.wallTime() } : meta
    await this.store.write(changes, next)
    this.meta = next
  }
}
