// The log that the configuration names, as the host keeps it.
import { join } from 'node:path'
import type { Config } from './config.js'
import { dataId } from './data-id.js'
import type { HostError } from './errors.js'
import { Stack } from './lifecycle.js'
import type { OwnedLog } from './log/embedded/contents.js'
import { KeptLog, type LogUsers } from './log/embedded/kept-log.js'
import type { EmbeddedLogOptions } from './log/embedded/log.js'
import type { KafkaLogOptions } from './log/kafka/log.js'
import type { KafkaSettings } from './log/kafka/settings.js'
import { kafkaWriteSettings } from './log/kafka/write-settings.js'
import type { Log } from './log/log.js'
import type { Logger } from './logger.js'

/** What logs are opened by; others may take the place of the shipped ones. */
export interface LogPorts {
  openLog(options: EmbeddedLogOptions): Promise<Log>
  openKafkaLog(settings: KafkaSettings, options?: KafkaLogOptions): Log
}

export interface HostLogOptions {
  readonly config: Config
  readonly logger: Logger
  readonly ports?: Partial<LogPorts> | undefined
  /** Called once, when it has failed in a way that opening it anew does not mend. */
  readonly onFailure: (error: HostError) => void
  /** Ends a start that waits for room on the disk. */
  readonly signal?: AbortSignal | undefined
}

export interface HostLog extends AsyncDisposable {
  readonly log: Log
  /** Why it takes nothing for now, if so. */
  problem(): HostError | undefined
  /** Resolves when there is a problem for the first time. */
  readonly away: Promise<void>
  /** Who has it open in other threads, and has to close it there when that is to be done. */
  usedBy(users: LogUsers): void
}

/** Rejects with DATA_LOCKED, LOG_DAMAGED and the like for a data folder that it cannot have; with MOVE_UNFINISHED on a part of a log. */
export async function openHostLog(options: HostLogOptions): Promise<HostLog> {
  return options.config.log.kind === 'kafka' ? await openKafka(options) : await openKept(options)
}

/** For a command that takes the data folder as a host would: that one has to be stopped. Throws as `openHostLog` rejects. */
export async function openLogAlone(
  config: Config,
  onFailure: (error: HostError) => void,
): Promise<AsyncDisposable & { readonly log: Log }> {
  const stack = new Stack()
  try {
    const isKafka = config.log.kind === 'kafka'
    if (isKafka) stack.use(await lockData(config))
    const log = stack.use(
      isKafka
        ? (await import('./log/kafka/log.js')).openKafkaLog(kafkaSettings(config))
        : await openEmbeddedAlone(config, onFailure),
    )
    return { log, [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose]() }
  } catch (error) {
    await stack[Symbol.asyncDispose]()
    throw error
  }
}

/** As `openLogAlone`, whichever log is configured. */
export async function openEmbeddedAlone(
  { data, log }: Config,
  onFailure: (error: HostError) => void,
): Promise<OwnedLog> {
  const { openEmbeddedLog } = await import('./log/embedded/log.js')
  return await openEmbeddedLog({
    path: join(data, 'log'),
    sync: log.sync,
    // It looks at what it was called for: what has expired otherwise is for the host to see to.
    maintenance: null,
    onFailure,
  })
}

/** The tables in it are written by one host, as those beside an embedded log are. */
export async function lockData({ data }: Config): Promise<AsyncDisposable> {
  const { lockFolder } = await import('./leveldb/folder-lock.js')
  return await lockFolder(join(data, 'lock'))
}

async function openKept(options: HostLogOptions): Promise<HostLog> {
  const { config, logger, ports, onFailure, signal } = options
  const { retentionMs, retentionBytes, tombstoneRetentionMs, compaction } = config.log
  const { sync, maxQueuedBytes, maxRecordBytes, minFreeBytes } = config.log
  const { openEmbeddedLog } = await import('./log/embedded/log.js')
  const log = await KeptLog.open({
    path: join(config.data, 'log'),
    sync,
    maxQueuedBytes,
    maxRecordBytes,
    writeBufferBytes: config.log.writeBufferBytes,
    blockCacheBytes: config.log.blockCacheBytes,
    maintenance: {
      retentionMs,
      retentionBytes,
      tombstoneRetentionMs,
      intervalMs: config.log.maintenanceIntervalMs,
      compaction,
    },
    onWarning: (problem) => logger.warn(problem.message, { code: problem.code }),
    minFreeBytes,
    open: ports?.openLog ?? openEmbeddedLog,
    logger,
    signal,
    onFailure,
  })
  return {
    log,
    problem: () => log.problem(),
    // Its users are told to release it: they know.
    away: new Promise(() => {}),
    usedBy: (users) => {
      log.users = users
    },
    [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
  }
}

/** A start that cannot ask by then goes on: functions ask again before their topics are made. */
const moveCheckMs = 3_000

async function openKafka({ config, logger, ports }: HostLogOptions): Promise<HostLog> {
  // Loaded by those who use it: kafkajs takes its time.
  const { openKafkaLog } = await import('./log/kafka/log.js')
  const { Reach } = await import('./log/kafka/reach.js')
  const { MoveGuard } = await import('./move/guard.js')
  const guard = new MoveGuard(config.namespace)
  const stack = new Stack()
  try {
    stack.use(await lockData(config))
    const settings: KafkaSettings = {
      ...kafkaSettings(config),
      host: await dataId(config.data),
      membersFile: join(config.data, 'members.json'),
    }
    const open = ports?.openKafkaLog ?? openKafkaLog
    const log = stack.use(open(settings, { mayUse: (log) => guard.check(log) }))
    // First: it tells, while that waits, that nobody answers.
    const reach = stack.use(new Reach(settings, logger))
    await guard.checkWithin(log, moveCheckMs)
    return {
      log,
      problem: () => reach.problem,
      away: reach.away,
      usedBy: () => {},
      [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
    }
  } catch (error) {
    await stack[Symbol.asyncDispose]()
    throw error
  }
}

/** As the Kafka log takes them. */
export function kafkaSettings({ log }: Pick<Config, 'log'>): KafkaSettings {
  const { brokers, ssl, sasl, createTopics, replication, kafka } = log
  const { retentionMs, retentionBytes, tombstoneRetentionMs } = log
  return {
    brokers,
    clientId: kafka.clientId,
    ...(ssl === undefined ? {} : { ssl }),
    ...(sasl === undefined ? {} : { sasl }),
    createTopics,
    replication,
    retentionMs,
    retentionBytes,
    tombstoneRetentionMs,
    connectionTimeoutMs: kafka.connectionTimeoutMs,
    fetchBytes: kafka.fetchBytes,
    group: {
      sessionTimeoutMs: kafka.sessionTimeoutMs,
      heartbeatMs: kafka.heartbeatIntervalMs,
      rebalanceTimeoutMs: kafka.rebalanceTimeoutMs,
      metadataIntervalMs: kafka.metadataIntervalMs,
    },
    moves: {
      acceptableLag: kafka.acceptableLag,
      probingIntervalMs: kafka.probingIntervalMs,
    },
    write: kafkaWriteSettings({
      ...(kafka.compression === 'auto' ? {} : { compression: kafka.compression }),
      maxRecordBytes: log.maxRecordBytes,
      maxQueuedBytes: log.maxQueuedBytes,
      maxBatchBytes: kafka.maxBatchBytes,
      requestTimeoutMs: kafka.requestTimeoutMs,
      deadlineMs: kafka.deliveryTimeoutMs,
      transactionTimeoutMs: kafka.transactionTimeoutMs,
      transactionalIdPrefix: kafka.transactionalIdPrefix,
    }),
  }
}
