// How the Kafka log reaches its cluster and what it makes there: plain, so that it crosses threads.
import { Kafka, logLevel } from 'kafkajs'
import type { DataId } from '../../data-id.js'
import type { GroupTimes, MoveSettings } from './membership.js'
import { mechanismOf, type SaslSettings } from './sasl.js'
import { Seeds } from './seeds.js'
import type { TlsSettings } from './tls.js'
import { answerMs, type KafkaWriteSettings } from './write-settings.js'

export interface KafkaSettings {
  /** `host:port` of some of the cluster's brokers. */
  readonly brokers: readonly string[]
  /** Names this host to the brokers, in their quotas and logs. */
  readonly clientId: string
  /** No other host has the same; it has it again when it comes back. Absent: one of its own each time that it is opened. */
  readonly host?: DataId
  /** Absent: without TLS. */
  readonly ssl?: TlsSettings
  /** Absent: as nobody. */
  readonly sasl?: SaslSettings
  /** Whether topics that are missing are made. */
  readonly createTopics: boolean
  /** Copies of each partition of a topic that is made; -1: as the brokers have it. */
  readonly replication: number
  /** Of a stream that is made without a time of its own; -1: for ever. */
  readonly retentionMs: number
  /** What a partition of such a stream may have; -1: any size. */
  readonly retentionBytes?: number
  /** What a reader hands out at a time unless it is told otherwise. */
  readonly fetchBytes?: number
  /** How long a table's topic keeps a deletion. */
  readonly tombstoneRetentionMs: number
  readonly connectionTimeoutMs: number
  /** A file that this process alone has, where it notes down its places in groups: given up by the next one, should it be killed. */
  readonly membersFile?: string
  readonly group: GroupTimes
  readonly moves: MoveSettings
  readonly write: KafkaWriteSettings
}

/** How its brokers are reached, and as whom; and how long they are waited for, where it is not as usual. */
export type KafkaAccess = Pick<KafkaSettings, 'brokers' | 'ssl' | 'sasl' | 'connectionTimeoutMs'> &
  Partial<Pick<KafkaSettings, 'write'>>

/** kafkajs' own trials are few: who asks knows better how long to go on. */
const retry = { initialRetryTime: 50, maxRetryTime: 300, retries: 2 }

export function connectionTo(
  settings: KafkaSettings,
  seeds: Seeds = new Seeds(settings.brokers),
): Kafka {
  const { clientId, ssl, sasl, connectionTimeoutMs, write } = settings
  return new Kafka({
    // Asked for one before each trial: kafkajs itself would begin each time with the first, and end with the third.
    brokers: () => [seeds.next()],
    clientId,
    ...(ssl === undefined ? {} : { ssl }),
    ...(sasl === undefined ? {} : { sasl: mechanismOf(sasl) }),
    connectionTimeout: connectionTimeoutMs,
    // Of what kafkajs itself asks when it connects.
    requestTimeout: write.requestTimeoutMs + answerMs,
    enforceRequestTimeout: true,
    retry,
    // It calls an error what is tried again and passes: what matters is told by who has asked.
    logLevel: logLevel.NOTHING,
  })
}
