// The errors that every adapter of the log raises, worded once.
import { HostError } from '../errors.js'
import { MAX_STORED_HEADERS, MAX_STORED_NAME_BYTES, recordBytes } from './limits.js'
import type { RecordToAppend, TopicKind, TopicPartition, TopicSpec } from './log.js'

export const logClosed = (): HostError =>
  new HostError('LOG_CLOSED', 'the log is closed: open it anew before using it')

export function unknownTopic(topic: string, partition?: number): HostError {
  return new HostError(
    'UNKNOWN_TOPIC',
    partition === undefined
      ? `topic ${topic} does not exist (any more): the host makes the topics of its functions when it starts`
      : `topic ${topic} has no partition ${partition}: it was removed, or has fewer partitions`,
    { stream: topic, ...(partition === undefined ? {} : { partition }) },
  )
}

/** A position from before must not become one of its records. */
export const topicMadeAnew = (topic: string): HostError =>
  new HostError(
    'UNKNOWN_TOPIC',
    `topic ${topic} was made after this writer was opened: open the writer anew, its positions are of the topic before`,
    { stream: topic },
  )

/** What is committed for was read up to `behind`, and its first record would lie at `first`. */
export const otherEnd = (
  { topic, partition }: TopicPartition,
  behind: number,
  first: number,
): HostError =>
  new HostError(
    'LOG_FAILED',
    `${topic}, partition ${partition} ended at ${first}, and not at ${behind} as was told when it was read: by a leader that was none any more. It is read anew`,
    { stream: topic, partition, offset: behind },
  )

export function outOfRange(
  { topic, partition }: TopicPartition,
  offset: number,
  oldest: number,
  end: number,
): HostError {
  return new HostError(
    'OFFSET_OUT_OF_RANGE',
    `position ${offset} of ${topic}/${partition} is outside of what the log holds (${oldest} to ${end}): ` +
      'the log was cut or records have expired; start again from a position within',
    { stream: topic, partition, offset },
  )
}

/** Of a record that may be written. Throws RECORD_TOO_LARGE for one that is too large, or whose headers no log could store. */
export function checkRecord(record: RecordToAppend, maxRecordBytes: number): number {
  const bytes = recordBytes(record)
  if (bytes > maxRecordBytes) {
    const limit = `the limit is ${maxRecordBytes} (log.maxRecordBytes)`
    throw tooLarge(record, `has ${bytes} bytes, ${limit}: send less, or raise the limit`)
  }
  const { headers } = record
  if (headers === undefined) return bytes
  if (headers.length > MAX_STORED_HEADERS) {
    throw tooLarge(
      record,
      `has ${headers.length} headers, the limit is ${MAX_STORED_HEADERS}: send fewer`,
    )
  }
  for (const [name] of headers) {
    if (
      name.length * 3 > MAX_STORED_NAME_BYTES &&
      Buffer.byteLength(name) > MAX_STORED_NAME_BYTES
    ) {
      const shown = `"${name.slice(0, 40)}…"`
      throw tooLarge(
        record,
        `has the header ${shown}, of whose name no more than ${MAX_STORED_NAME_BYTES} bytes can be stored: shorten it`,
      )
    }
  }
  return bytes
}

function tooLarge({ topic, partition }: TopicPartition, what: string): HostError {
  const message = `a record for ${topic}/${partition} ${what}`
  return new HostError('RECORD_TOO_LARGE', message, { stream: topic, partition })
}

/** The offset is that of the entry's first record. */
export function logDamaged(
  { topic, partition }: TopicPartition,
  offset: number,
  cause?: unknown,
): HostError {
  return new HostError(
    'LOG_DAMAGED',
    `what the log holds of ${topic}/${partition} from offset ${offset} on is damaged: stop the host and restore the data folder ` +
      'from a copy, or start again behind it',
    { stream: topic, partition, offset, cause },
  )
}

interface Existing {
  readonly kind: TopicKind
  readonly partitions: number
}

export function topicMismatch(spec: TopicSpec, found: Existing): HostError {
  return new HostError(
    'TOPIC_MISMATCH',
    `topic ${spec.name} is a ${found.kind} of ${found.partitions} partitions, wanted is a ${spec.kind} ` +
      `of ${spec.partitions}: remove the topic, or use it as it is`,
    { stream: spec.name },
  )
}

/** A topic that cannot be made is the caller's mistake. */
export function checkSpec(spec: TopicSpec): void {
  if (spec.name === '') throw new TypeError('a topic needs a name')
  if (!Number.isInteger(spec.partitions) || spec.partitions < 1) {
    throw new TypeError(`topic ${spec.name} needs 1 partition or more, not ${spec.partitions}`)
  }
}
