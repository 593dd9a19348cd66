// What a user of Kafka has to be allowed (an ACL) for a request, and how it is granted.
import { X509Certificate } from 'node:crypto'
import { kafkaErrors } from './error-codes.js'
import type { KafkaAccess } from './settings.js'

type Resource = 'topic' | 'group' | 'transactional-id'

export interface Right {
  readonly operation:
    | 'Read'
    | 'Write'
    | 'Create'
    | 'Delete'
    | 'AlterConfigs'
    | 'Describe'
    | 'DescribeConfigs'
  readonly resource: Resource
  readonly name: string
}

export const right = {
  topic: (operation: Right['operation'], name: string): Right => ({
    operation,
    resource: 'topic',
    name,
  }),
  group: (operation: Right['operation'], name: string): Right => ({
    operation,
    resource: 'group',
    name,
  }),
  transactions: (name: string): Right => ({
    operation: 'Write',
    resource: 'transactional-id',
    name,
  }),
}

const refusedBy: ReadonlyMap<number, Resource> = new Map([
  [kafkaErrors.TOPIC_AUTHORIZATION_FAILED, 'topic'],
  [kafkaErrors.GROUP_AUTHORIZATION_FAILED, 'group'],
  [kafkaErrors.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, 'transactional-id'],
  // Of who asks for a producer: the right to write to any topic would do.
  [kafkaErrors.CLUSTER_AUTHORIZATION_FAILED, 'topic'],
])

/** Which one of those that a request needs; undefined: the error is about something else. */
export function missingRight(error: number, needed: readonly Right[]): Right | undefined {
  const resource = refusedBy.get(error)
  return resource && needed.find((one) => one.resource === resource)
}

/** What is missing, and how to grant it. */
export function howToGrant(right: Right, access: KafkaAccess | undefined): string {
  const { operation, resource, name } = right
  const user = access === undefined ? undefined : principalOf(access)
  const included = operation === 'Describe' ? ' (which Read and Write include)' : ''
  // An administrator comes as somebody else, where it is asked who comes.
  const isOpen = access?.ssl === undefined && access?.sasl === undefined
  const command = [
    `kafka-acls.sh --bootstrap-server ${access?.brokers[0] ?? 'HOST:PORT'}`,
    ...(isOpen ? [] : ['--command-config admin.properties']),
    `--add --allow-principal ${quoted(user ?? 'User:NAME')} --operation ${operation}`,
    `--${resource} ${quoted(name)}`,
  ].join(' ')
  return `${user ?? 'the user of this host'} lacks the right ${operation}${included} on the ${resource} ${name}; grant it: ${command}`
}

/** As brokers name it unless they have rules of their own. */
function principalOf({ ssl, sasl }: KafkaAccess): string {
  if (sasl !== undefined) return `User:${sasl.username}`
  if (ssl?.cert === undefined) return 'User:ANONYMOUS'
  // Node has a line for each part, the widest first; Java's names begin with the narrowest.
  const parts = new X509Certificate(ssl.cert).subject.split('\n')
  return `User:${parts.reverse().join(',')}`
}

/** For a shell. */
const quoted = (text: string): string =>
  /^[\w.:@-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
