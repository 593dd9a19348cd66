// The part of host.config.json that is about Apache Kafka: how its brokers are reached, and the times of groups and transactions.
import { z } from 'zod'
import { bytes, mebibyte, ms } from './config-units.js'

export const variable = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'has to be the name of an environment variable')

const file = (what: string) =>
  z.string().min(1).optional().describe(`${what}: a file in PEM, from the folder of this file.`)

export const tls = z.strictObject({
  ca: file('The certificates that the brokers may be signed by, instead of those that Node trusts'),
  cert: file("The host's own certificate, if the brokers ask for one"),
  key: file('Its key'),
  passphraseEnv: variable
    .optional()
    .describe('The environment variable that holds the passphrase of the key.'),
  rejectUnauthorized: z
    .boolean()
    .default(true)
    .describe('false: whoever answers is taken for the broker. For trying things out.'),
  servername: z
    .string()
    .min(1)
    .optional()
    .describe("The name that the brokers' certificates have, if it is not their host's."),
})

/** Where the password is if the configuration names no other variable. */
export const passwordVariable = 'MILLRACE_LOG_SASL_PASSWORD'

export const sasl = z.strictObject({
  mechanism: z
    .enum(['plain', 'scram-sha-256', 'scram-sha-512'])
    .describe('How the password is shown. plain: as it is, so use it with TLS.'),
  username: z.string().min(1).describe('The name.'),
  passwordEnv: variable
    .default(passwordVariable)
    .describe('The environment variable that holds the password.'),
})

export const kafka = z.strictObject({
  clientId: z
    .string()
    .min(1)
    .max(200)
    .default('millrace')
    .describe('Names the host to the brokers, in their quotas and logs.'),
  compression: z
    .enum(['auto', 'none', 'gzip', 'lz4'])
    .default('auto')
    .describe('Of what is written. auto: lz4 where its package is installed, else none.'),
  maxBatchBytes: bytes(
    900_000,
    'What one batch of records has, before compression. A topic that takes less gets smaller ones.',
  ),
  fetchBytes: z
    .int()
    .min(64 * 1024)
    .default(4 * mebibyte)
    .describe('What a function reads at a time; about twice as much is held. In bytes.'),
  connectionTimeoutMs: ms(5_000, 'For a connection to a broker.'),
  requestTimeoutMs: ms(
    10_000,
    'How long the leader of a partition waits for its replicas; somewhat longer anybody waits for an answer.',
  ),
  deliveryTimeoutMs: ms(
    15_000,
    'How long one append, or one commit, is tried before it has failed; a commit is tried anew then.',
  ),
  transactionTimeoutMs: ms(
    10_000,
    'After it the transaction of a host that is gone is given up. Until then nobody reads past it.',
  ),
  transactionalIdPrefix: z
    .string()
    .max(100)
    .regex(/^[A-Za-z0-9._-]*$/, 'may have letters, digits, ".", "_" and "-" only')
    .default('')
    .describe("In front of each transactional id: the host's rights may be by prefix."),
  sessionTimeoutMs: ms(
    10_000,
    'A host that a group has not heard of for so long is taken for dead: others get its partitions.',
  ),
  heartbeatIntervalMs: ms(
    100,
    'How often a group hears of the host; so soon it learns, too, that partitions are shared out anew. With hundreds of functions or hosts a longer one spares the brokers.',
  ),
  metadataIntervalMs: ms(
    30_000,
    'How often a function looks whether its topics have as many partitions as before, and, of a partition that gives nothing for so long, whether another broker leads it.',
  ),
  rebalanceTimeoutMs: ms(
    10_000,
    'How long a group waits for its hosts to give up what they have: longer than limits.drainMs twice.',
  ),
  acceptableLag: z
    .int()
    .min(0)
    .default(10_000)
    .describe(
      'A copy of a table that lacks so many records of its topic, or fewer, is as good as one that lacks none, where partitions are shared out.',
    ),
  cleanupDelayMs: ms(
    600_000,
    'How long a host keeps its copy of a table of which it has the partition no more, before it is deleted.',
  ),
  probingIntervalMs: ms(
    30_000,
    'Where standbys are kept: after a sharing out, how long a host waits, at least, before it asks for the partitions whose tables it has copied meanwhile.',
  ),
})
