// Why a transaction cannot be committed, and what follows from it.
import { HostError } from '../../errors.js'
import { partitionKey, type TopicPartition } from '../log.js'
import type { Brokers } from './brokers.js'
import { isExpelled, isPassing, kafkaErrors } from './error-codes.js'
import { brokerUnavailable } from './problems.js'
import { right } from './rights.js'

export type Trouble =
  /** It is aborted; the cause tells whether trying again is of use. */
  | { readonly kind: 'failed'; readonly cause: Error }
  /** It is aborted, as was wanted: its batches were too large, and are made smaller; or nothing was to be committed. */
  | { readonly kind: 'undone' }
  /** What the writer knows is not to be trusted any more. */
  | { readonly kind: 'unknown'; readonly cause: Error }
  /** Whether it was committed was not answered. */
  | { readonly kind: 'undecided'; readonly cause: Error }
  /** Another producer has begun under this transactional id. */
  | { readonly kind: 'fenced'; readonly cause: Error }
  /** This member of the group is none any more. */
  | { readonly kind: 'expelled'; readonly cause: Error }

export const asError = (thrown: unknown): Error =>
  thrown instanceof Error ? thrown : new Error(String(thrown))

export const isUnavailable = (thrown: unknown): boolean =>
  thrown instanceof HostError && thrown.code === 'BROKER_UNAVAILABLE'

export const isFence = (error: number): boolean =>
  error === kafkaErrors.INVALID_PRODUCER_EPOCH || error === kafkaErrors.PRODUCER_FENCED

/** What a coordinator answers that does not pass by itself; `cause` is how that is said. */
export function troubleOf(error: number, cause: HostError): Trouble {
  if (isFence(error)) return { kind: 'fenced', cause }
  if (isExpelled(error)) return { kind: 'expelled', cause }
  switch (error) {
    case kafkaErrors.INVALID_TXN_STATE:
    case kafkaErrors.INVALID_PRODUCER_ID_MAPPING:
    case kafkaErrors.TRANSACTION_COORDINATOR_FENCED:
      // Its transaction has been ended without it, or forgotten: only the beginning of another producer mends that.
      return { kind: 'unknown', cause: brokerUnavailable(cause) }
    default:
      return { kind: 'failed', cause }
  }
}

/** The sequence of what was produced to the partition is broken: a producer that begins anew mends it. */
export const isSequenceError = (error: number): boolean =>
  error === kafkaErrors.OUT_OF_ORDER_SEQUENCE_NUMBER ||
  error === kafkaErrors.DUPLICATE_SEQUENCE_NUMBER ||
  error === kafkaErrors.UNKNOWN_PRODUCER_ID

export const isTooLarge = (error: number): boolean =>
  error === kafkaErrors.MESSAGE_TOO_LARGE || error === kafkaErrors.RECORD_LIST_TOO_LARGE

/** Nothing of the batch is there, or else the same bytes can be sent again: they are known by their sequence. */
export const isWorthRepeating = (error: number): boolean =>
  isPassing(error) || error === kafkaErrors.CORRUPT_MESSAGE

/** Of the only record in its batch. */
export function tooLargeForTopic({ topic, partition }: TopicPartition, bytes: number): HostError {
  return new HostError(
    'RECORD_TOO_LARGE',
    `a record for ${partitionKey(topic, partition)} makes a batch of ${bytes} bytes, which the topic does not take: ` +
      'send less, or raise max.message.bytes of the topic',
    { stream: topic, partition },
  )
}

/** What the broker says of a batch that it will never take. */
export const refusedBatch = (
  brokers: Brokers,
  { topic, partition }: TopicPartition,
  error: number,
  message: string | null,
): HostError =>
  brokers.refused(
    error,
    `records for ${partitionKey(topic, partition)}`,
    [right.topic('Write', topic)],
    { message, at: { topic, partition } },
  )
