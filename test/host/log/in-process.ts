// The embedded log with its log thread's part in the test's own thread: with a clock and a database that the test may replace.
import { MessageChannel } from 'node:worker_threads'
import { EmbeddedLog } from '#host/log/embedded/client.js'
import { compact } from '#host/log/embedded/compaction.js'
import type { OwnedLog } from '#host/log/embedded/contents.js'
import { closeOwned, type Database, openOwned } from '#host/log/embedded/database.js'
import { DiskSpace } from '#host/log/embedded/disk-space.js'
import { LogService } from '#host/log/embedded/log-service.js'
import {
  defaultMaintenance,
  type MaintenanceSettings,
} from '#host/log/embedded/maintenance-settings.js'
import { Positions } from '#host/log/embedded/positions.js'
import { expire } from '#host/log/embedded/retention.js'
import { SharedEnds } from '#host/log/embedded/shared-ends.js'
import { type Partition, Topics } from '#host/log/embedded/topics.js'

export interface InProcessOptions {
  readonly path: string
  readonly sync?: boolean
  readonly now?: () => number
  /** Wraps what the log writes through. */
  readonly wrap?: (database: Database) => Database
  /** Absent: nothing is done by itself. */
  readonly maintenance?: Partial<MaintenanceSettings>
}

export interface InProcessLog extends AsyncDisposable {
  readonly log: OwnedLog
  readonly database: Database
  /** What has failed or was warned of. */
  readonly problems: unknown[]
  partition(topic: string, partition: number): Partition
  /** One pass over a partition of a table. */
  compact(topic: string, partition: number, more?: Partial<CompactOptions>): Promise<void>
  /** Applies the limits to a partition of a stream; −1 is none. */
  expire(topic: string, partition: number, more: Partial<ExpireOptions>): Promise<number>
}

interface CompactOptions {
  readonly tombstoneRetentionMs: number
  readonly keyBytes: number
}

interface ExpireOptions {
  readonly retentionMs: number
  readonly retentionBytes: number
}

export async function openInProcess(options: InProcessOptions): Promise<InProcessLog> {
  const { path, sync = false, now = Date.now, wrap = (database) => database } = options
  const owned = await openOwned(path)
  const ends = SharedEnds.create(256)
  const database = wrap(owned)
  const topics = await Topics.load(database, ends, sync)
  const positions = await Positions.load(database)
  const problems: unknown[] = []
  const events = {
    failed: (cause: unknown) => {
      problems.push(cause)
      ends.end('failed')
      service.hangUp()
    },
    warned: (problem: unknown) => problems.push(problem),
  }
  const maintenance = { ...defaultMaintenance, ...options.maintenance }
  const disk = new DiskSpace({ path, minFreeBytes: 0, changed: () => {} })
  const service = new LogService(
    { database, topics, positions, ends, sync, disk, maintenance, now },
    events,
  )
  if (options.maintenance !== undefined) service.start()
  const { port1, port2 } = new MessageChannel()
  service.serve(port2)
  const limits = { maxRecordBytes: 8_000_000, maxQueuedBytes: 64_000_000 }
  const line = { path, memory: ends.memory, port: port1, leaderEpoch: topics.leaderEpoch }
  const log = new EmbeddedLog({ ...line, ...limits }, owned, async () => {
    if (ends.state() === 'open') await service.close()
    ends.end('closed')
    service.hangUp()
    await closeOwned(path, owned, false)
  })
  const { upkeep } = service
  const partitionOf = (topic: string, partition: number): Partition => {
    const found = topics.named(topic)?.partitions[partition]
    if (found === undefined) throw new Error(`no partition ${topic}/${partition}`)
    return found
  }
  return {
    log,
    database,
    problems,
    partition: partitionOf,
    compact: (topic, partition, more = {}) =>
      compact(upkeep, partitionOf(topic, partition), {
        tombstoneRetentionMs: defaultMaintenance.tombstoneRetentionMs,
        keyBytes: 1_000_000,
        ...more,
      }),
    expire: (topic, partition, more) =>
      expire(upkeep, partitionOf(topic, partition), {
        retentionMs: -1,
        retentionBytes: -1,
        ...more,
      }),
    [Symbol.asyncDispose]: async () => log[Symbol.asyncDispose](),
  }
}

/** Tells of each call before it goes on; what `called` returns, if anything, is its answer instead. */
export const watched = (
  database: Database,
  called: (method: string, args: readonly unknown[]) => unknown,
): Database =>
  new Proxy(database, {
    get(target, name) {
      const found: unknown = Reflect.get(target, name, target)
      if (typeof found !== 'function') return found
      return (...args: unknown[]): unknown =>
        called(String(name), args) ?? Reflect.apply(found, target, args)
    },
  })

const writing = ['batch', 'put', 'del', 'clear']

/** As a process that is killed: from its nth write on nothing is written any more, and every write fails. */
export function killedAt(nth: number): (database: Database) => Database {
  let writes = 0
  return (database) =>
    watched(database, (method) => {
      if (!writing.includes(method)) return undefined
      writes += 1
      return writes < nth ? undefined : Promise.reject(new Error('killed'))
    })
}
