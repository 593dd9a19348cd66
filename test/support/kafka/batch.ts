// Record batches for tests of requests: values without keys, in one batch.
import { encodeBatches } from '#host/log/kafka/encoding.js'

export interface BatchOptions {
  readonly values: readonly string[]
  /** Default: now. A broker keeps what lies years apart in files of their own, and a Fetch reads one of them. */
  readonly timestamp?: number
  /** Of an idempotent producer, with `producerEpoch` and `sequence`. */
  readonly producerId?: number
  readonly producerEpoch?: number
  readonly sequence?: number
  readonly isTransactional?: boolean
}

export function batchOf(given: BatchOptions): Buffer {
  const { values, timestamp = Date.now(), isTransactional = false } = given
  const { producerId, producerEpoch = 0, sequence = 0 } = given
  const of = { topic: '', partition: 0, key: null, timestamp }
  const records = values.map((value) => ({ ...of, value: Buffer.from(value) }))
  const sequencing =
    producerId === undefined
      ? {}
      : { sequencing: { producerId, producerEpoch, baseSequence: sequence, isTransactional } }
  const [batch, ...others] = encodeBatches(records, { maxBatchBytes: 2_000_000, ...sequencing })
  if (batch === undefined || others.length > 0) throw new TypeError('not a single batch')
  return batch.bytes
}
