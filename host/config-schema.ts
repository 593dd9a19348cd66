// The shape of host.config.json: every field, its default, and what it means to whoever edits it.
import { z } from 'zod'
import { advertised, cluster } from './config-schema-cluster.js'
import { kafka, sasl, tls } from './config-schema-kafka.js'
import { bytes, count, mebibyte, ms } from './config-units.js'

const dayMs = 24 * 60 * 60 * 1000

/** Of a database of LevelDB. */
const memory = (of: string) => ({
  writeBufferBytes: z
    .int()
    .min(64 * 1024)
    .default(16 * mebibyte)
    .describe(
      `Memory for what ${of} has taken and not yet sorted into a file: up to two of these. In bytes.`,
    ),
  blockCacheBytes: bytes(16 * mebibyte, `Memory for blocks of ${of} that were read.`),
})

export const scopes = ['emit', 'read', 'admin'] as const
export const levels = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const

const token = z.strictObject({
  name: z.string().min(1).describe('Names the token in the log; no secret.'),
  env: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'has to be the name of an environment variable')
    .describe('The environment variable that holds the secret, of 16 characters or more.'),
  scopes: z
    .array(z.enum(scopes))
    .min(1)
    .describe(
      'emit: write to streams. read: tables, functions, topology. admin: operate functions.',
    ),
  names: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe(
      'The streams, tables and functions that it is good for; * stands for any characters.',
    ),
})

export const configSchema = z.strictObject({
  $schema: z.string().optional().describe('For editors.'),
  namespace: z
    .string()
    .max(100)
    .regex(/^[A-Za-z0-9._-]*$/, 'may have letters, digits, ".", "_" and "-" only')
    .default('')
    .describe('Put in front of the name of each topic and group.'),
  functions: z
    .string()
    .min(1)
    .default('functions')
    .describe('The folder of function files, from the folder of this file.'),
  data: z
    .string()
    .min(1)
    .default('.millrace')
    .describe('The folder of log and tables, from the folder of this file. One host a folder.'),
  http: z
    .strictObject({
      host: z
        .string()
        .min(1)
        .default('127.0.0.1')
        .describe('The address to listen on. Any but a loopback address needs tokens.'),
      port: z.int().min(0).max(65_535).default(7420).describe('0: any that is free.'),
      advertise: advertised.optional(),
      tokens: z.array(token).default([]).describe('Bearer tokens. None: whoever reaches it may.'),
    })
    .prefault({}),
  log: z
    .strictObject({
      kind: z
        .enum(['embedded', 'kafka'])
        .default('embedded')
        .describe(
          'Where streams and changes are kept: in the data folder, or on Apache Kafka. With `brokers` it is kafka, unless it is given.',
        ),
      brokers: z
        .array(z.string().regex(/^[^\s:/,[\]]+:\d{1,5}$/, 'has to be "host:port"'))
        .default([])
        .describe('Kafka: some of its brokers, each as `host:port`; the others are found by them.'),
      ssl: z
        .union([z.boolean(), tls])
        .default(false)
        .describe('Kafka: with TLS. true: with the certificates that Node trusts.'),
      sasl: sasl.optional().describe('Kafka: as whom the host comes. Absent: as nobody.'),
      partitions: z
        .int()
        .min(1)
        .max(1024)
        .default(4)
        .describe(
          'Of each topic that the host makes. A topic keeps the count that it was made with.',
        ),
      replication: z
        .int()
        .min(-1)
        .max(32_767)
        .refine((copies) => copies !== 0, 'may be -1, or 1 and more')
        .default(-1)
        .describe(
          'Kafka: copies of each partition of a topic that the host makes. -1: as the brokers have it (`default.replication.factor`).',
        ),
      createTopics: z
        .boolean()
        .default(true)
        .describe(
          'Kafka: whether the host makes topics that are missing. Else it says how to make them.',
        ),
      sync: z
        .boolean()
        .default(false)
        .describe(
          'Embedded: answer only when the disk has it: survives a power cut, and is slower.',
        ),
      maxQueuedBytes: bytes(
        64 * mebibyte,
        'What may wait to be written; emits are refused at half of it.',
      ),
      maxRecordBytes: bytes(8 * mebibyte, 'The largest record.'),
      retentionMs: z
        .int()
        .min(-1)
        .default(7 * dayMs)
        .describe(
          'How long a stream keeps a record: counted from when it was written, whatever its timestamp. -1: for ever. On Kafka of streams that the host makes, as `retention.ms`. In milliseconds.',
        ),
      retentionBytes: z
        .int()
        .min(-1)
        .default(-1)
        .describe(
          'What a partition of a stream may have before its oldest records go. -1: any size. On Kafka of streams that the host makes, as `retention.bytes`. In bytes.',
        ),
      tombstoneRetentionMs: ms(
        dayMs,
        'How long a table keeps a deletion in the log, counted from when compaction first finds it. A local table that was away for longer is rebuilt. On Kafka of tables that the host makes, as `delete.retention.ms`.',
      ),
      maintenanceIntervalMs: ms(
        30_000,
        'Embedded: how often the log looks for what to delete and to compact; tables that change much are compacted at once.',
      ),
      compaction: z
        .strictObject({
          minBytes: bytes(
            4 * mebibyte,
            'Embedded: what has to be new in a partition of a table before it is compacted.',
          ),
          dirtyRatio: z
            .number()
            .min(0)
            .max(1)
            .default(0.5)
            .describe(
              'Embedded: the share of a partition that has to be new before it is compacted.',
            ),
          keyBytes: bytes(
            64 * mebibyte,
            'Embedded: memory for the keys of one pass. What does not fit waits for the next pass.',
          ),
        })
        .prefault({}),
      ...memory('the embedded log'),
      minFreeBytes: z
        .int()
        .min(0)
        .default(64 * mebibyte)
        .describe(
          'Embedded: of its disk, kept free: with less, nothing is written until there is room again. Of a small disk a tenth at most; 0: not looked at. In bytes.',
        ),
      kafka: kafka.prefault({}),
    })
    .prefault({}),
  cluster: cluster.prefault({}),
  flush: z
    .strictObject({
      intervalMs: ms(100, 'The longest time between two flushes of a task under little load.'),
      maxIntervalMs: ms(1000, 'To which the interval is stretched under load.'),
      maxBytes: bytes(16 * mebibyte, 'A task that has gathered as much is flushed at once.'),
      maxUnfinished: count(
        10_000,
        'Records of a partition that may be taken while one before them is not finished (`concurrency`, `ctx.defer`).',
      ),
    })
    .prefault({}),
  tables: z.strictObject(memory("a function's tables")).prefault({}),
  cache: z
    .strictObject({ maxBytes: bytes(64 * mebibyte, 'Values kept in memory, for each function.') })
    .prefault({}),
  limits: z
    .strictObject({
      maxBodyBytes: bytes(8 * mebibyte, 'The largest request body.'),
      maxKeyBytes: bytes(4096, 'The longest key.'),
      maxLines: count(100_000, 'Of one NDJSON request.'),
      maxWaiting: count(
        1024,
        'Requests that may wait at once, for a table or for the gate; and twice as many of other instances.',
      ),
      waitTimeoutMs: ms(10_000, 'How long a request with `after` waits unless it says otherwise.'),
      maxWaitTimeoutMs: ms(60_000, 'The longest time that a request may ask to wait.'),
      gateMs: ms(
        1000,
        'For a schema or codec of a function to judge up to 500 values of a request.',
      ),
      loadMs: ms(5000, 'For a function file to load; and then to decode what is stored.'),
      stalledMs: ms(
        120_000,
        'A recovery that has not come further for so long is shown as stalled.',
      ),
      probeValues: count(1000, 'Stored values that the table codec of a save has to decode.'),
      probeBytes: bytes(mebibyte, 'The most that these values may have together.'),
      drainMs: ms(3000, 'For a function to finish what it is at before its thread is ended.'),
      stopMs: ms(10_000, 'For the host to stop before it ends the process.'),
      pageLimit: count(100, 'Entries of a page of a table unless the request says otherwise.'),
      maxPageLimit: count(
        10_000,
        'The most entries that one page, or one batch of keys, may have.',
      ),
    })
    .prefault({}),
  supervisor: z
    .strictObject({
      enabled: z
        .boolean()
        .default(true)
        .describe(
          'A small parent process starts the host anew when it dies. false: where systemd, Kubernetes or the like does that.',
        ),
      maxCrashes: count(
        3,
        'A version of a function that has killed the host as often within the window is quarantined: the next host does not run it.',
      ),
      crashWindowMs: ms(600_000, 'The window.'),
    })
    .prefault({}),
  logging: z
    .strictObject({
      level: z.enum(levels).default('info').describe('The least that is logged.'),
      format: z
        .enum(['auto', 'pretty', 'json'])
        .default('auto')
        .describe('auto: pretty on a terminal, else a JSON object a line.'),
    })
    .prefault({}),
})

export type ConfigInput = z.output<typeof configSchema>

/** For editors: what `host.config.schema.json` holds. */
export function configJsonSchema(): Record<string, unknown> {
  return {
    title: 'host.config.json of millrace',
    ...z.toJSONSchema(configSchema, { io: 'input' }),
  }
}

/** A field that is no object: its path, and the JSON type of what it takes. */
export interface ConfigField {
  readonly path: readonly string[]
  readonly type: 'string' | 'number' | 'boolean' | 'list' | 'array'
}

/** Every field, for what comes as text: environment variables and flags. */
export function configFields(
  schema: z.core.$ZodType = configSchema,
  path: readonly string[] = [],
): ConfigField[] {
  const inner = unwrap(schema)
  if (inner instanceof z.ZodUnion) return inner.options.flatMap((one) => configFields(one, path))
  if (inner instanceof z.ZodObject) {
    return Object.entries(inner.shape)
      .filter(([name]) => name !== '$schema')
      .flatMap(([name, field]) => configFields(field, [...path, name]))
  }
  if (inner instanceof z.ZodArray) {
    return [{ path, type: inner.element instanceof z.ZodString ? 'list' : 'array' }]
  }
  if (inner instanceof z.ZodBoolean) return [{ path, type: 'boolean' }]
  if (inner instanceof z.ZodNumber) return [{ path, type: 'number' }]
  return [{ path, type: 'string' }]
}

/** The names that an object of the configuration may have, for hints; items of arrays have the path segment of a number. */
export function knownNames(path: readonly PropertyKey[]): string[] {
  let schema: z.core.$ZodType = unwrap(configSchema)
  for (const segment of path) {
    if (schema instanceof z.ZodArray) schema = unwrap(schema.element)
    else if (schema instanceof z.ZodObject) schema = unwrap(schema.shape[String(segment)])
    else return []
    if (schema instanceof z.ZodUnion) {
      schema = schema.options.map(unwrap).find((one) => one instanceof z.ZodObject) ?? schema
    }
  }
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : []
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  let inner = schema
  while (
    inner instanceof z.ZodDefault ||
    inner instanceof z.ZodPrefault ||
    inner instanceof z.ZodOptional
  ) {
    inner = inner.def.innerType
  }
  return inner
}
