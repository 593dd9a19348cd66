// The part of host.config.json that is about several instances on one Kafka cluster: how they reach each other.
import { z } from 'zod'
import { variable } from './config-schema-kafka.js'
import { ms } from './config-units.js'

/** Where the secret is if the configuration names no other variable. */
export const secretVariable = 'MILLRACE_CLUSTER_SECRET'

export const advertised = z
  .string()
  .refine(isOrigin, 'has to be "http://host:port", or with https, and no path')
  .describe(
    'Kafka: the URL at which the other instances reach this one. Absent: `http://<http.host>:<http.port>`; listening on all addresses (`0.0.0.0`, `::`), by the name of the machine.',
  )

export const cluster = z.strictObject({
  secretEnv: variable
    .default(secretVariable)
    .describe(
      'Kafka: the environment variable that holds the secret, of 16 characters or more, by which the instances know each other: the same for all. Without it a host that has tokens answers for its own partitions alone.',
    ),
  timeoutMs: ms(5000, 'Kafka: how long another instance may take to answer.'),
})

function isOrigin(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, origin, pathname, search, hash, username } = new URL(text)
  const isBare = pathname === '/' && search === '' && hash === '' && username === ''
  return isBare && origin !== 'null' && (protocol === 'http:' || protocol === 'https:')
}
