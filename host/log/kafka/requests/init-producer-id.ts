// InitProducerId: begins as a producer; with a transactional id it fences every earlier one, and ends its open transaction.
import type { KafkaRequest, Response } from '../request.js'

export interface Producer {
  readonly producerId: number
  readonly producerEpoch: number
}

export interface InitProducerIdOptions {
  /** Null: idempotent only. */
  readonly transactionalId: string | null
  /** After so long the broker aborts an open transaction by itself. */
  readonly transactionTimeoutMs: number
  /**
   * Who asks anew, as it was told before: refused with INVALID_PRODUCER_EPOCH if another producer has been there since. Without it,
   * whoever has been there is fenced.
   */
  readonly current?: Producer
}

export interface InitializedProducer extends Response, Producer {
  readonly error: number
}

/** With a transactional id to its coordinator, else to any broker. */
export const initProducerId = (
  options: InitProducerIdOptions,
): KafkaRequest<InitializedProducer> => ({
  apiName: 'InitProducerId',
  apiKey: 22,
  apiVersion: 3,
  isFlexible: true,
  encode(writer) {
    const { transactionalId, transactionTimeoutMs, current } = options
    const { producerId, producerEpoch } = current ?? { producerId: -1, producerEpoch: -1 }
    writer.string(transactionalId).int32(transactionTimeoutMs)
    writer.int64(producerId).int16(producerEpoch).tags()
  },
  decode(reader) {
    const answer = {
      throttleMs: reader.int32(),
      error: reader.int16(),
      producerId: reader.int64(),
      producerEpoch: reader.int16(),
    }
    reader.tags()
    return answer
  },
})
