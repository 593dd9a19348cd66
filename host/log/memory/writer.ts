// The memory log's writer: every way in which a commit can end, asked for or by seed.
import { HostError } from '../../errors.js'
import {
  type Commit,
  type CommitOutcome,
  keyOf,
  type LogWriter,
  type Position,
  partitionKey,
  type TopicPartition,
} from '../log.js'
import { otherEnd, topicMadeAnew } from '../problems.js'
import type { Outcome } from './faults.js'

export interface MemoryWriterParts {
  readonly begin: () => Promise<void>
  readonly settle: () => Promise<void>
  readonly isFenced: () => boolean
  /** The name of a topic that was made after the writer was opened and in which the commit has a position. */
  readonly madeAnew: (commit: Commit) => string | undefined
  readonly leaderEpoch: (at: TopicPartition) => number
  readonly end: (at: TopicPartition) => number
  readonly outcome: () => Outcome | undefined
  /** All or, by throwing, nothing; returns the records' offsets. */
  readonly write: (commit: Commit) => readonly number[]
}

export class MemoryWriter implements LogWriter {
  readonly positions: readonly Position[]
  readonly #parts: MemoryWriterParts
  /** After an unknown outcome as well: who goes on without opening anew is fenced, as by a broker. */
  #isClosed = false

  constructor(positions: readonly Position[], parts: MemoryWriterParts) {
    this.positions = positions
    this.#parts = parts
  }

  async commit(commit: Commit): Promise<CommitOutcome> {
    if (this.#isClosed) return { kind: 'fenced' }
    try {
      await this.#parts.begin()
      if (this.#parts.isFenced()) return { kind: 'fenced' }
      const anew = this.#parts.madeAnew(commit)
      if (anew !== undefined) {
        this.#isClosed = true
        return { kind: 'unknown', cause: topicMadeAnew(anew) }
      }
      const elsewhere = this.#elsewhere(commit)
      if (elsewhere !== undefined) {
        this.#isClosed = true
        return { kind: 'unknown', cause: elsewhere }
      }
      const outcome = this.#parts.outcome()
      if (outcome?.kind === 'failed') {
        return { kind: 'failed', cause: simulated('nothing was written') }
      }
      const offsets =
        outcome === undefined || outcome.written ? this.#parts.write(commit) : undefined
      await this.#parts.settle()
      if (outcome !== undefined || offsets === undefined) {
        this.#isClosed = true
        return { kind: 'unknown', cause: simulated('the answer was lost') }
      }
      const next = new Map<string, number>()
      const first = new Map<string, number>()
      const leaderEpochs = new Map<string, number>()
      commit.records.forEach(({ topic, partition }, i) => {
        const key = partitionKey(topic, partition)
        next.set(key, (offsets[i] ?? 0) + 1)
        if (!first.has(key)) first.set(key, offsets[i] ?? 0)
        leaderEpochs.set(key, this.#parts.leaderEpoch({ topic, partition }))
      })
      return { kind: 'committed', next, first, leaderEpochs }
    } catch (thrown) {
      return { kind: 'failed', cause: thrown instanceof Error ? thrown : new Error(String(thrown)) }
    }
  }

  #elsewhere({ records, behind = [] }: Commit): HostError | undefined {
    for (const told of behind) {
      if (records.every((record) => keyOf(record) !== keyOf(told))) continue
      const end = this.#parts.end(told)
      if (told.offset === end || told.leaderEpoch === this.#parts.leaderEpoch(told)) continue
      return otherEnd(told, told.offset, end)
    }
    return undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
  }
}

const simulated = (what: string): HostError =>
  new HostError('LOG_FAILED', `the memory log was told to fail this commit: ${what}`)
