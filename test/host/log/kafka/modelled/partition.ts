// A partition that knows again what an idempotent producer sends twice, as Kafka's ProducerStateManager does.
import * as batch from '#host/log/kafka/batch.js'
import { decodeBatches } from '#host/log/kafka/decoding.js'
import { kafkaErrors } from '#host/log/kafka/error-codes.js'
import type { Produced } from '#host/log/kafka/requests/produce.js'
import type { TopicPartition } from '#host/log/log.js'

/** Of each producer. */
const knownBatches = 5

interface KnownBatch {
  readonly sequence: number
  readonly count: number
  readonly offset: number
}

interface ProducerState {
  readonly epoch: number
  readonly nextSequence: number
  readonly batches: readonly KnownBatch[]
}

type Appended = Pick<Produced, 'error' | 'offset'>

export class Partition implements TopicPartition {
  readonly topic: string
  readonly partition: number
  /** Of each record, by its offset. */
  readonly keys: string[] = []
  readonly #producers = new Map<number, ProducerState>()
  #leader: number
  #leaderEpoch = 0

  constructor({ topic, partition }: TopicPartition, leader: number) {
    this.topic = topic
    this.partition = partition
    this.#leader = leader
  }

  /** −1: none. */
  get leader(): number {
    return this.#leader
  }

  set leader(leader: number) {
    if (leader === this.#leader) return
    this.#leader = leader
    this.#leaderEpoch++
  }

  get leaderEpoch(): number {
    return this.#leaderEpoch
  }

  append(bytes: Buffer): Appended {
    const producerId = Number(bytes.readBigInt64BE(batch.PRODUCER_ID))
    const epoch = bytes.readInt16BE(batch.PRODUCER_EPOCH)
    const sequence = bytes.readInt32BE(batch.BASE_SEQUENCE)
    const count = bytes.readInt32BE(batch.COUNT)
    const state = this.#producers.get(producerId)
    if (state !== undefined && epoch < state.epoch) return refused.asOfOlderEpoch
    const current = epoch === state?.epoch ? state : undefined
    const batches = current?.batches ?? []
    const known = batches.find((one) => one.sequence === sequence && one.count === count)
    if (known !== undefined) return { error: kafkaErrors.NONE, offset: known.offset }
    // The first batch of a producer may have any sequence.
    const expected = state === undefined ? sequence : (current?.nextSequence ?? 0)
    if (sequence !== expected) return refused.asOutOfOrder
    const offset = this.keys.length
    this.keys.push(...decodeBatches(this, bytes, 0).records.map((record) => record.keyText()))
    this.#producers.set(producerId, {
      epoch,
      nextSequence: sequence + count,
      batches: [...batches, { sequence, count, offset }].slice(-knownBatches),
    })
    return { error: kafkaErrors.NONE, offset }
  }
}

const refused = {
  asOfOlderEpoch: { error: kafkaErrors.INVALID_PRODUCER_EPOCH, offset: -1 },
  asOutOfOrder: { error: kafkaErrors.OUT_OF_ORDER_SEQUENCE_NUMBER, offset: -1 },
}
