// A broker that asks who comes, settings for a log that tells it, and all that a host does with a log.
import type { Test } from 'tap'
import { openKafkaLog } from '#host/log/kafka/log.js'
import type { KafkaSettings } from '#host/log/kafka/settings.js'
import { kafkaWriteSettings } from '#host/log/kafka/write-settings.js'
import type { Log, LogReader, RecordToAppend } from '#host/log/log.js'
import type { Authority, Certified } from './certificates.js'
import { ownName } from './shared.js'

const modules = 'org.apache.kafka.common.security'

/** Names and passwords. */
export type Users = Readonly<Record<string, string>>

/** Properties of a listener where users show their passwords as they are. */
export function plainListener(listener: string, users: Users): Record<string, string> {
  const known = Object.entries(users).map(([name, password]) => ` user_${name}="${password}"`)
  const prefix = `listener.name.${listener.toLowerCase()}.plain.sasl.jaas.config`
  return { [prefix]: `${modules}.plain.PlainLoginModule required${known.join('')};` }
}

/** Properties of a listener where they prove that they know them, given when the broker's folder is formatted. */
export const scramListener = (listener: string): Record<string, string> =>
  Object.fromEntries(
    ['scram-sha-256', 'scram-sha-512'].map((mechanism) => [
      `listener.name.${listener.toLowerCase()}.${mechanism}.sasl.jaas.config`,
      `${modules}.scram.ScramLoginModule required;`,
    ]),
  )

/** Properties of a listener with TLS; it trusts the same authority. */
export function tlsListener(
  listener: string,
  { cert, key }: Certified,
  authority: Authority,
): Record<string, string> {
  const prefix = `listener.name.${listener.toLowerCase()}.ssl`
  return {
    [`${prefix}.keystore.type`]: 'PEM',
    [`${prefix}.keystore.certificate.chain`]: cert,
    [`${prefix}.keystore.key`]: key,
    [`${prefix}.truststore.type`]: 'PEM',
    [`${prefix}.truststore.certificates`]: authority.cert,
  }
}

export const kafkaSettings = (
  address: string,
  more: Partial<KafkaSettings> = {},
): KafkaSettings => ({
  brokers: [address],
  clientId: ownName('test'),
  createTopics: true,
  replication: 1,
  retentionMs: -1,
  tombstoneRetentionMs: 86_400_000,
  connectionTimeoutMs: 2_000,
  group: {
    sessionTimeoutMs: 6_000,
    heartbeatMs: 200,
    rebalanceTimeoutMs: 10_000,
    metadataIntervalMs: 30_000,
  },
  moves: { acceptableLag: 10_000, probingIntervalMs: 30_000 },
  write: kafkaWriteSettings(),
  ...more,
})

export function kafkaLog(t: Test, address: string, more: Partial<KafkaSettings> = {}): Log {
  const log = openKafkaLog(kafkaSettings(address, more))
  t.teardown(() => log[Symbol.asyncDispose]())
  return log
}

export interface Names {
  readonly input: string
  readonly output: string
  readonly table: string
  readonly group: string
}

export function ownNames(prefix = ''): Names {
  const name = `${prefix}${ownName('clicks')}`
  return { input: name, output: `${name}-out`, table: `${name}-table`, group: `${name}-group` }
}

export const recordOf = (topic: string, value: string, partition = 0): RecordToAppend => ({
  topic,
  partition,
  key: Buffer.from('key'),
  value: Buffer.from(value),
  timestamp: Date.now(),
})

/** What a host does with its log, step by step; each needs what those before it have made. */
export const steps = {
  ensure: async (log: Log, { input, output, table }: Names): Promise<void> => {
    await log.ensure([
      { name: input, kind: 'stream', partitions: 2 },
      { name: output, kind: 'stream', partitions: 2 },
      { name: table, kind: 'table', partitions: 2 },
    ])
  },
  append: async (log: Log, { input }: Names): Promise<readonly number[]> =>
    await log.append([recordOf(input, 'a')]),
  /** Several partitions: a transaction. */
  appendAll: async (log: Log, { input }: Names): Promise<readonly number[]> =>
    await log.append([recordOf(input, 'b'), recordOf(input, 'c', 1)], { atomic: true }),
  /** The first records of the input. */
  async read(log: Log, { input }: Names): Promise<string[]> {
    const reader = log.reader()
    reader.assign([{ topic: input, partition: 0, offset: 0 }])
    try {
      return await firstValues(reader)
    } finally {
      await reader[Symbol.asyncDispose]()
    }
  },
  async join(log: Log, { group, input }: Names): Promise<readonly number[]> {
    let taken: readonly number[] = []
    const membership = await log.join({
      group,
      topics: [input],
      instance: 'one',
      async assigned({ partitions }) {
        taken = partitions
      },
      async revoked() {},
      lost() {},
    })
    await membership[Symbol.asyncDispose]()
    return taken
  },
  async commit(log: Log, { group, input, output, table }: Names): Promise<void> {
    const writer = await log.openWriter(group, 0)
    const outcome = await writer.commit({
      records: [recordOf(output, 'd'), recordOf(table, 'e')],
      positions: [{ topic: input, partition: 0, offset: 1 }],
    })
    if (outcome.kind === 'committed') return
    throw outcome.kind === 'fenced' ? new Error('another writer was opened') : outcome.cause
  },
  committed: async (log: Log, { group }: Names): Promise<unknown> => await log.committed(group),
  offsetAt: async (log: Log, { input }: Names): Promise<unknown> => await log.offsetAt(input, 0),
  describe: async (log: Log, { input, output, table }: Names): Promise<string[]> => [
    ...(await log.describe([input, output, table])).keys(),
  ],
  remove: async (log: Log, { input, output, table, group }: Names): Promise<void> =>
    await log.remove([input, output, table], { groups: [group] }),
} as const

async function firstValues(reader: LogReader): Promise<string[]> {
  for (;;) {
    const records = (await reader.next()).flatMap((batch) => batch.records)
    if (records.length > 0) return records.map((record) => record.valueText())
  }
}

/** All of it, in order; what does not end well is thrown. */
export async function wholeRound(t: Test, log: Log, names: Names): Promise<void> {
  const { input, output, table } = names
  await steps.ensure(log, names)
  t.strictSame(await steps.append(log, names), [0])
  t.strictSame(await steps.appendAll(log, names), [1, 0])
  t.equal((await steps.read(log, names))[0], 'a')
  t.strictSame(await steps.join(log, names), [0, 1])
  await steps.commit(log, names)
  t.strictSame(await steps.committed(log, names), [{ topic: input, partition: 0, offset: 1 }])
  t.match(await steps.offsetAt(log, names), [{ offset: 0 }, { offset: 0 }])
  t.strictSame(await steps.describe(log, names), [input, output, table])
  await steps.remove(log, names)
  t.strictSame(await steps.describe(log, names), [])
}
