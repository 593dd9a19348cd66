// One flush: a frozen set of effects appended to the log as one commit, then written to the store as one batch.
import { HostError } from '../errors.js'
import type { Commit, Committed, LogWriter, Position, RecordToAppend } from '../log/log.js'
import { partitionKey } from '../log/log.js'
import { positionsHeader, withTopicIds } from '../tables/positions.js'
import type { Change, PartitionMeta, PartitionStore, StoredPosition } from '../tables/store.js'
import { backoffMs, type Clock } from './clock.js'
import type { KeyChange } from './overlay.js'
import { Pause } from './pause.js'
import { TextBytes } from './text-bytes.js'
import { snapshotBytes } from './value.js'

/** The table's side of a task; absent for a stateless function. */
export interface TablePartition {
  readonly topic: string
  readonly store: PartitionStore
  meta: PartitionMeta
  /** Up to where the changelog was read when it was opened; the epoch is that of who told that it ended there. */
  readonly behind: Position
  /** Where the epoch of the changelog ended, as the log has it now. */
  endOfEpoch(leaderEpoch: number): Promise<number>
}

/** What a freeze took: no later record adds to it. */
export interface Frozen {
  readonly outputs: readonly RecordToAppend[]
  /** Each key once. */
  readonly changes: readonly KeyChange[]
  readonly positions: readonly Position[]
}

/**
 * `stored`: log and store hold it. `skipped`: it was not to be tried again. `abandoned`: the task was closed meanwhile. `unknown`: the log may or may not hold it; `detached`:
 * the log holds it, the store refuses it; `cut`: the log holds it, and has lost some of what was there before. After these three the
 * partition has to be opened anew. `refused`: the log will never take it.
 */
export type FlushResult =
  | { readonly kind: 'stored' | 'skipped' | 'fenced' | 'abandoned' | 'cut' }
  | { readonly kind: 'unknown' | 'detached' | 'refused'; readonly cause: unknown }

export interface FlushKind {
  /** Nothing was done since the flush before: it is given up at the first refusal. */
  readonly isOptional?: boolean
}

export interface FlushOptions {
  readonly partition: number
  readonly writer: LogWriter
  readonly table: TablePartition | null
  readonly clock: Clock
  /** Told of each failure that is tried again. */
  onRetry(what: 'commit' | 'store', cause: unknown, attempt: number): void
}

const lastingFailures: readonly string[] = ['STORE_FAILED', 'STORE_DAMAGED']
const retryBaseMs = 20
const retryMaxMs = 1_000
// About half a minute of refusals by the store; then recovery from the log is the better way.
const maxStoreAttempts = 32

export class Flusher {
  readonly #options: FlushOptions
  #isClosed = false
  readonly #pause: Pause
  /** Whoever told of the changelog's end may have led no more: what is made of a table that lacks something must not be committed. */
  #hasWritten = false

  constructor(options: FlushOptions) {
    this.#options = options
    this.#pause = new Pause(options.clock)
  }

  /** No further try; what is under way goes to its end. */
  close(): void {
    this.#isClosed = true
    this.#pause.end()
  }

  async flush(frozen: Frozen, { isOptional = false }: FlushKind = {}): Promise<FlushResult> {
    const { writer, table } = this.#options
    const changes = toChanges(frozen.changes)
    const inputs = table === null ? [] : withTopicIds(frozen.positions, table.meta.inputs)
    const changelog = this.#changelog(changes, inputs)
    const { outputs, positions } = frozen
    const records = outputs.length === 0 ? changelog : [...outputs, ...changelog]
    // Also of one that changes nothing: what it emits follows from what was read. One with nothing to tell proves nothing of use.
    const isFirst = table !== null && !this.#hasWritten && !isOptional
    const commit: Commit = { records, positions, ...(isFirst ? { behind: [table.behind] } : {}) }
    for (let attempt = 0; ; attempt += 1) {
      const outcome = await writer.commit(commit)
      if (outcome.kind === 'fenced') return { kind: 'fenced' }
      if (outcome.kind === 'unknown') return { kind: 'unknown', cause: outcome.cause }
      if (outcome.kind === 'committed') {
        if (isFirst) this.#hasWritten = true
        return table === null
          ? { kind: 'stored' }
          : await this.#store(table, { changes, inputs, outcome, isOptional })
      }
      if (isOptional) return { kind: 'skipped' }
      const { cause } = outcome
      if (cause instanceof HostError && !cause.retryable) return { kind: 'refused', cause }
      this.#options.onRetry('commit', cause, attempt)
      if (!(await this.#mayRetry(attempt))) return { kind: 'abandoned' }
    }
  }

  async #store(
    table: TablePartition,
    {
      changes,
      inputs,
      outcome,
      isOptional,
    }: {
      readonly changes: readonly Change[]
      readonly inputs: readonly StoredPosition[]
      readonly outcome: Committed
      readonly isOptional: boolean
    },
  ): Promise<FlushResult> {
    const { partition, clock } = this.#options
    const before = table.meta.changelog
    const key = partitionKey(table.topic, partition)
    const { next, first, leaderEpochs } = outcome
    // A leader that had less of it may have taken over: what was lost is not to be read here, either.
    if ((first?.get(key) ?? before.next) < before.next) return { kind: 'cut' }
    const leaderEpoch = leaderEpochs?.get(key) ?? before.leaderEpoch
    if (leaderEpoch !== before.leaderEpoch) {
      try {
        // Grown beyond it again, by what was given up for instance, its offsets do not tell.
        if ((await table.endOfEpoch(before.leaderEpoch)) < before.next) return { kind: 'cut' }
      } catch (cause) {
        return { kind: 'unknown', cause }
      }
    }
    const changelog = {
      ...before,
      next: next.get(key) ?? before.next,
      leaderEpoch,
    }
    const meta: PartitionMeta = {
      ...table.meta,
      changelog,
      appliedAt: clock.wallTime(),
      inputs,
    }
    for (let attempt = 0; ; attempt += 1) {
      try {
        await table.store.write(changes, meta)
        table.meta = meta
        return { kind: 'stored' }
      } catch (cause) {
        // A store that has failed takes nothing until it is opened anew.
        const hasFailed = cause instanceof HostError && lastingFailures.includes(cause.code)
        if (hasFailed || attempt >= maxStoreAttempts) return { kind: 'detached', cause }
        if (isOptional) return { kind: 'skipped' }
        this.#options.onRetry('store', cause, attempt)
      }
      if (!(await this.#mayRetry(attempt))) return { kind: 'abandoned' }
    }
  }

  async #mayRetry(attempt: number): Promise<boolean> {
    if (this.#isClosed) return false
    return await this.#pause.wait(backoffMs(attempt, retryBaseMs, retryMaxMs))
  }

  #changelog(changes: readonly Change[], inputs: readonly StoredPosition[]): RecordToAppend[] {
    const { table, partition, clock } = this.#options
    if (table === null) return []
    const timestamp = clock.wallTime()
    const { topic } = table
    const records = changes.map(
      ([key, value]): RecordToAppend => ({ topic, partition, key, value, timestamp }),
    )
    const last = records.pop()
    // A second source of the positions, should the committed ones expire.
    if (last !== undefined) records.push({ ...last, headers: [positionsHeader(inputs)] })
    return records
  }
}

const toChanges = (held: readonly KeyChange[]): Change[] => {
  const expected = held.reduce((sum, [key, value]) => sum + key.length + (value?.length ?? 0), 0)
  const bytes = new TextBytes(expected)
  return held.map(([key, value]) => [
    bytes.of(key),
    value === null ? null : snapshotBytes(value, bytes),
  ])
}
