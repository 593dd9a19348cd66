// The log under the hosts of a project: what they are told of it, and how a test reads it when none of them lives.
import { join } from 'node:path'
import { openEmbeddedLog } from '#host/log/embedded/log.js'
import type { Log } from '#host/log/log.js'
import type { Output } from './account.js'

/** Far more than what is ever unread. */
export const streamBytes = 4 * 1024 * 1024

export interface ProjectLog {
  readonly kind: 'embedded' | 'kafka'
  /** Of each host. */
  readonly env: Readonly<Record<string, string>>
  /** In front of the names of topics, groups and stores. */
  readonly namespace: string
  /** `data`: the folder of a host that does not live. */
  open(data: string): Promise<Log>
}

export const embedded: ProjectLog = {
  kind: 'embedded',
  env: {
    // The log is maintained all the time.
    MILLRACE_LOG_MAINTENANCE_INTERVAL_MS: '100',
    MILLRACE_LOG_RETENTION_BYTES: String(streamBytes),
    MILLRACE_LOG_COMPACTION_MIN_BYTES: '2048',
    MILLRACE_LOG_COMPACTION_DIRTY_RATIO: '0.1',
  },
  namespace: '',
  open: (data) =>
    openEmbeddedLog({
      path: join(data, 'log'),
      maintenance: null,
      onFailure: (error) => {
        throw error
      },
    }),
}

/** All that is there of them, once nobody writes any more. */
export async function readOutputs(
  { kind, namespace }: ProjectLog,
  log: Log,
  streams: readonly string[],
): Promise<Output[]> {
  return await Promise.all(
    streams.map(async (stream) => {
      const { kept, offsets } = await readTopic(log, namespace + stream)
      // On Kafka markers have offsets, too, and nothing of this expires.
      return { stream, kept, ever: kind === 'embedded' ? offsets : kept.length }
    }),
  )
}

async function readTopic(log: Log, topic: string): Promise<{ kept: string[]; offsets: number }> {
  const { partitions = [] } = (await log.describe([topic])).get(topic) ?? {}
  await using reader = log.reader()
  reader.assign(partitions.map(({ partition, oldest }) => ({ topic, partition, offset: oldest })))
  const kept: string[] = []
  const unread = new Map(
    partitions
      .filter(({ oldest, end }) => oldest < end)
      .map(({ partition, end }) => [partition, end]),
  )
  while (unread.size > 0) {
    for (const { partition, records, next } of await reader.next()) {
      for (const record of records) kept.push(`${record.keyText()} ${record.valueText()}`)
      if (next >= (unread.get(partition) ?? 0)) unread.delete(partition)
    }
  }
  return { kept, offsets: partitions.reduce((sum, { end }) => sum + end, 0) }
}
