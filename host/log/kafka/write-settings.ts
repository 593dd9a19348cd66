// What a deployment may set for what is written to Kafka.
import { canCompress, type WrittenCompression } from './compression.js'

export interface KafkaWriteSettings {
  readonly compression: WrittenCompression
  readonly maxRecordBytes: number
  /** Before compression. A topic that takes less (`max.message.bytes`) gets smaller ones. */
  readonly maxBatchBytes: number
  /** Of records that wait for an acknowledgement, of emitters. */
  readonly maxQueuedBytes: number
  /** How long the leader of a partition waits for its replicas, and nearly how long anybody waits for it. */
  readonly requestTimeoutMs: number
  /** A transaction whose host is gone is aborted after it. Until then, readers do not get past it. */
  readonly transactionTimeoutMs: number
  /** Of one commit, or of one append: what would pass by itself is tried again until then. */
  readonly deadlineMs: number
  /** In front of each transactional id: users' permissions may be by prefix. */
  readonly transactionalIdPrefix: string
}

/** For the way there and back, beside what the broker may take. */
export const answerMs = 2_000

const mebibyte = 2 ** 20

export function kafkaWriteSettings(given: Partial<KafkaWriteSettings> = {}): KafkaWriteSettings {
  return {
    // As fast as none, at 39 % of the size.
    compression: canCompress('lz4') ? 'lz4' : 'none',
    maxRecordBytes: 8 * mebibyte,
    // Below what a topic takes unless it is told otherwise.
    maxBatchBytes: 900_000,
    maxQueuedBytes: 32 * mebibyte,
    requestTimeoutMs: 10_000,
    transactionTimeoutMs: 10_000,
    deadlineMs: 15_000,
    transactionalIdPrefix: '',
    ...given,
  }
}
