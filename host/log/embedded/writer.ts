// The transactional writer of one (group, partition): one request, one write, fenced by number.
import { type ErrorCode, HostError } from '../../errors.js'
import {
  type Commit,
  type CommitOutcome,
  type LogWriter,
  type Position,
  partitionKey,
} from '../log.js'
import type { WriterRef } from './messages.js'
import type { Sender } from './sender.js'

export class EmbeddedWriter implements LogWriter {
  readonly positions: readonly Position[]
  readonly #sender: Sender
  readonly #ref: WriterRef
  readonly #leaderEpoch: number
  #isClosed = false

  /** `leaderEpoch`: since the log was opened; it ends where the next one finds the end. */
  constructor(
    sender: Sender,
    ref: WriterRef,
    {
      leaderEpoch,
      positions,
    }: { readonly leaderEpoch: number; readonly positions: readonly Position[] },
  ) {
    this.#sender = sender
    this.#ref = ref
    this.#leaderEpoch = leaderEpoch
    this.positions = positions
  }

  async commit(commit: Commit): Promise<CommitOutcome> {
    if (this.#isClosed) return { kind: 'fenced' }
    let wasSent = false
    try {
      const sent = await this.#sender.commit(commit, (request, numbered) => {
        wasSent = true
        return { kind: 'commit', request, writer: this.#ref, positions: numbered }
      })
      if (sent === 'fenced') return { kind: 'fenced' }
      const next = new Map(
        sent.packed.sections.map(({ topicName, partition, count }, i) => [
          partitionKey(topicName, partition),
          (sent.bases[i] ?? 0) + count,
        ]),
      )
      const leaderEpochs = new Map([...next.keys()].map((key) => [key, this.#leaderEpoch]))
      return { kind: 'committed', next, leaderEpochs }
    } catch (thrown) {
      const cause = thrown instanceof Error ? thrown : new Error(String(thrown))
      // This writer's log takes nothing any more: to try again would be for ever.
      const isOver = cause instanceof HostError && cause.code === 'LOG_FAILED'
      return { kind: isOver || (wasSent && !isRefusal(cause)) ? 'unknown' : 'failed', cause }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
  }
}

/** An answer: the identical commit may be tried again. */
const isRefusal = (cause: Error): boolean =>
  cause instanceof HostError && !opening.includes(cause.code)

/** The line was cut; or a topic has gone, perhaps made anew: only what the writer's positions say anew can be committed. */
const opening: readonly ErrorCode[] = ['LOG_FAILED', 'LOG_CLOSED', 'UNKNOWN_TOPIC']
