// The errors that only the Kafka log raises, worded once.
import { HostError } from '../../errors.js'
import { partitionKey, type TopicPartition, type TopicSpec } from '../log.js'
import { isPassing, isUnderReplicated, kafkaErrorName, kafkaErrors } from './error-codes.js'
import { howToGrant, missingRight, type Right } from './rights.js'
import type { KafkaAccess, KafkaSettings } from './settings.js'

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

/** `unheard`: it could not ask Kafka, `expelled`: which says that it is no member, `refused`: or does not let it be one; `stuck`: it has left by itself. */
export type Loss = 'unheard' | 'expelled' | 'refused' | 'stuck'

export function wordsOfLoss(
  why: Loss,
  group: string,
  { sessionTimeoutMs }: { readonly sessionTimeoutMs: number },
): string {
  switch (why) {
    case 'unheard':
      return `Kafka could not be asked for ${sessionTimeoutMs} ms (log.kafka.sessionTimeoutMs)`
    case 'expelled':
      return `Kafka has it in the group ${group} no more, since it was not heard of for ${sessionTimeoutMs} ms (log.kafka.sessionTimeoutMs), or somebody has removed it`
    case 'refused':
      return `Kafka refuses to have it in the group ${group}`
    case 'stuck':
      return 'what it had was not given up in time'
  }
}

/** The thread of a function is stuck. */
export const notGivenUp = (group: string, withinMs: number): HostError =>
  new HostError(
    'RECOVERING',
    `what this host has of the group ${group} was not given up within ${withinMs} ms (log.kafka.rebalanceTimeoutMs), so it has left the group, and others take it over: ` +
      'it joins again when the thread of the function has ended; look for code that does not return',
  )

export const packageMissing = (name: string, compression: string, cause: unknown): HostError =>
  new HostError(
    'PACKAGE_MISSING',
    `compression ${compression} needs the package ${name}, which cannot be loaded here (${process.platform}-${process.arch}): ` +
      `install it with \`npm install ${name}\`, without --omit=optional`,
    { cause },
  )

/** Records that were read are no more in the log: it goes on otherwise from `end` on. */
export function logCut(
  { topic, partition }: TopicPartition,
  offset: number,
  end: number,
): HostError {
  return new HostError(
    'OFFSET_OUT_OF_RANGE',
    `${partitionKey(topic, partition)} was cut at offset ${end}, below the position ${offset}: a leader has lost records, and others may be ` +
      'at their offsets by now; start again from a position within',
    { stream: topic, partition, offset },
  )
}

/** Its positions are of the topic before. */
export const topicReplaced = ({ topic, partition }: TopicPartition): HostError =>
  new HostError(
    'UNKNOWN_TOPIC',
    `topic ${topic} was deleted and made anew since it is read: positions of before mean nothing in it`,
    { stream: topic, partition },
  )

/** The connection, or who is asked for: both may be there again in a moment. */
export const brokerUnavailable = (cause: unknown): HostError =>
  new HostError(
    'BROKER_UNAVAILABLE',
    `Kafka cannot be asked (${cause instanceof Error ? cause.message : 'no broker is known'}): look whether the brokers run, and can be reached from here`,
    { cause },
  )

export interface Refusal {
  readonly access?: KafkaAccess | undefined
  /** The rights that are needed for it. */
  readonly needed?: readonly Right[]
  /** What the broker has said besides. */
  readonly message?: string | null
  readonly at?: TopicPartition
}

/** What a broker answered. */
export function refused(
  error: number,
  what: string,
  { access, needed = [], message = null, at }: Refusal = {},
): HostError {
  const name = kafkaErrorName(error)
  const said = message === null ? name : `${name}, ${message}`
  if (isUnderReplicated(error)) {
    return new HostError(
      'BROKER_UNAVAILABLE',
      `Kafka takes nothing for ${what} (${name}): fewer copies are in sync than min.insync.replicas asks for; it is tried again, see to the brokers that are missing`,
    )
  }
  if (isPassing(error)) {
    // What keeps a transaction's batches out keeps the markers out that would end it, and that is all that the broker tells of it.
    const why =
      error === kafkaErrors.CONCURRENT_TRANSACTIONS
        ? 'the transaction before is being ended, which takes as long as fewer copies are in sync than min.insync.replicas asks for; '
        : ''
    return new HostError(
      'BROKER_UNAVAILABLE',
      `Kafka is not ready for ${what} (${name}): ${why}it is tried again`,
    )
  }
  // Of whatever went wrong there: mostly of what is over in a moment, such as a disk that did not answer.
  if (error === kafkaErrors.UNKNOWN_SERVER_ERROR) {
    return new HostError(
      'BROKER_UNAVAILABLE',
      `Kafka has failed at ${what} (${said}): it is tried again; if that does not help, the log of the broker tells why`,
    )
  }
  const missing = missingRight(error, needed)
  const topic = missing?.resource === 'topic' ? { stream: missing.name } : {}
  const where = at === undefined ? topic : { stream: at.topic, partition: at.partition }
  if (missing === undefined) {
    return new HostError(
      'BROKER_REFUSED',
      `Kafka refuses ${what} (${said}): see what the name says, and the rights of this client`,
      where,
    )
  }
  return new HostError(
    'BROKER_REFUSED',
    `Kafka refuses ${what} (${name}): ${howToGrant(missing, access)} (docs/kafka.md has all that a host needs)`,
    where,
  )
}

/** Its members would go on with positions that are forgotten. */
export const groupInUse = (group: string): HostError =>
  new HostError(
    'GROUP_IN_USE',
    `Kafka does not remove the group ${group} (NON_EMPTY_GROUP): it has members; stop the hosts that run it, or ask one of them (millrace reset --url), or ` +
      'wait until the session of one that was killed is over',
  )

/** Goka, or a consumer of another library, which shares partitions out by rules of its own. */
export const otherClient = (group: string): HostError =>
  new HostError(
    'BROKER_REFUSED',
    `Kafka does not let the host into the group ${group} (INCONSISTENT_GROUP_PROTOCOL): it has members of another client, such as Goka; stop them all, ` +
      'then have the function go on with millrace resume',
  )

/** `message`: how many there are, in the broker's words. */
export const tooFewBrokers = (name: string, copies: number, message: string | null): HostError =>
  new HostError(
    'BROKER_REFUSED',
    `Kafka does not make the topic ${name} with ${copies < 0 ? 'the copies of default.replication.factor' : `${copies} copies`} ` +
      `(INVALID_REPLICATION_FACTOR${message === null ? '' : `, ${message}`}): start more brokers, or set log.replication to as many as there are`,
    { stream: name },
  )

/** The host may not make it. */
export function topicMissing(
  spec: TopicSpec,
  { brokers, replication }: Pick<KafkaSettings, 'brokers' | 'replication'>,
  entries: readonly { readonly name: string; readonly value: string }[],
): HostError {
  const configs = entries.map(({ name, value }) => ` --config ${name}=${value}`).join('')
  const copies = spec.replication ?? replication
  const factor = copies > 0 ? ` --replication-factor ${copies}` : ''
  return new HostError(
    'UNKNOWN_TOPIC',
    `the topic ${spec.name} does not exist, and log.createTopics is false: make it with ` +
      `kafka-topics.sh --bootstrap-server ${brokers[0] ?? ''} --create --topic ${spec.name} --partitions ${spec.partitions}${factor}${configs}`,
    { stream: spec.name },
  )
}

/** It is there with another number of partitions. */
export function otherCount(
  { name, kind, partitions }: TopicSpec,
  found: number,
  brokers: readonly string[],
): HostError {
  // Keys would be in other partitions than what is known of them.
  const grow =
    kind === 'stream' && found < partitions
      ? `, or give it more: kafka-topics.sh --bootstrap-server ${brokers[0] ?? ''} --alter --topic ${name} --partitions ${partitions} (its keys move)`
      : ''
  return new HostError(
    'TOPIC_MISMATCH',
    `topic ${name} is a ${kind} of ${found} partitions, wanted are ${partitions}: remove it if nothing in it is of use${grow}`,
    { stream: name },
  )
}

/** It is there, and is cleaned in a way in which a table, or a stream, would lose what it needs. */
export function otherCleanup(
  { name, kind }: TopicSpec,
  found: string,
  brokers: readonly string[],
): HostError {
  const wanted = kind === 'table' ? 'compact' : 'delete'
  const loses =
    kind === 'table'
      ? 'keys that do not change would be lost from the table'
      : 'records would be lost that have the key of a later one'
  return new HostError(
    'TOPIC_MISMATCH',
    `topic ${name} is to be a ${kind}, and has cleanup.policy=${found}: ${loses}. Give the function another topic, or alter it: ` +
      `kafka-configs.sh --bootstrap-server ${brokers[0] ?? ''} --alter --entity-type topics --entity-name ${name} --add-config cleanup.policy=${wanted}`,
    { stream: name },
  )
}

/** Its partitions are shared out to hosts on which the function has other edges. `differences`: in words. */
export function otherEdges(
  group: string,
  differences: readonly string[],
  instances: ReadonlySet<string>,
): HostError {
  const others = [...instances].sort()
  const shown = others.length > 4 ? [...others.slice(0, 3), `${others.length - 3} more`] : others
  return new HostError(
    'EDGES_DIFFER',
    `the group ${group} is run with other edges by ${shown.join(', ')}, and gives this instance nothing: ${differences.join('. ')}. ` +
      'It takes over by itself once those have stopped or have this version: finish the deploy, or take it back here. To run both, give this one another name or another revision',
  )
}
