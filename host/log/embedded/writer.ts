// The transactional writer of one (group, partition): one request, one write, fenced by number.
import { HostError } from '../../errors.js'
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
  #isClosed = false

  constructor(sender: Sender, ref: WriterRef, positions: readonly Position[]) {
    this.#sender = sender
    this.#ref = ref
    this.positions = positions
  }

  async commit({ records, positions }: Commit): Promise<CommitOutcome> {
    if (this.#isClosed) return { kind: 'fenced' }
    let wasSent = false
    try {
      const sent = await this.#sender.send(records, positions, (request, numbered) => {
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
      return { kind: 'committed', next }
    } catch (thrown) {
      const cause = thrown instanceof Error ? thrown : new Error(String(thrown))
      return { kind: wasSent && isLineCut(cause) ? 'unknown' : 'failed', cause }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
  }
}

/** Any other error is an answer: the log thread has refused the commit as a whole. */
const isLineCut = (cause: Error): boolean =>
  !(cause instanceof HostError) || cause.code === 'LOG_FAILED' || cause.code === 'LOG_CLOSED'
