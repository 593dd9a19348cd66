// The errors that only the Kafka log raises, worded once.
import { HostError } from '../../errors.js'
import { partitionKey, type TopicPartition } from '../log.js'

/** `offset`: from where on nothing could be read. */
export function batchDamaged(
  { topic, partition }: TopicPartition,
  offset: number,
  cause?: unknown,
): HostError {
  return new HostError(
    'LOG_DAMAGED',
    `what the broker has of ${partitionKey(topic, partition)} from offset ${offset} on is damaged: look at the broker's disk, ` +
      'and have the partition led by a replica that is whole, or start again behind it',
    { stream: topic, partition, offset, cause },
  )
}

export function unsupportedFormat(
  { topic, partition }: TopicPartition,
  offset: number,
  found: string,
): HostError {
  return new HostError(
    'UNSUPPORTED_FORMAT',
    `${partitionKey(topic, partition)} holds ${found} at offset ${offset}, which this host cannot read: start behind them, ` +
      'or copy the topic by a Kafka client that reads them',
    { stream: topic, partition, offset },
  )
}

export const packageMissing = (name: string, compression: string, cause: unknown): HostError =>
  new HostError(
    'PACKAGE_MISSING',
    `compression ${compression} needs the package ${name}, which cannot be loaded here (${process.platform}-${process.arch}): ` +
      `install it with \`npm install ${name}\`, without --omit=optional`,
    { cause },
  )
