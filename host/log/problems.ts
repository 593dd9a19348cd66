// The errors that every adapter of the log raises, worded once.
import { HostError } from '../errors.js'
import type { TopicKind, TopicPartition, TopicSpec } from './log.js'

export const logClosed = (): HostError =>
  new HostError('LOG_CLOSED', 'the log is closed: open it anew before using it')

export function unknownTopic(topic: string, partition?: number): HostError {
  return new HostError(
    'UNKNOWN_TOPIC',
    partition === undefined
      ? `topic ${topic} does not exist: make it with ensure() before it is used`
      : `topic ${topic} has no partition ${partition}: it was removed, or has fewer partitions`,
    { stream: topic, ...(partition === undefined ? {} : { partition }) },
  )
}

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

export function recordTooLarge(at: TopicPartition, bytes: number, limit: number): HostError {
  return new HostError(
    'RECORD_TOO_LARGE',
    `a record for ${at.topic}/${at.partition} has ${bytes} bytes, the limit is ${limit}: send less`,
    { stream: at.topic, partition: at.partition },
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
