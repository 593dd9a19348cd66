// Rights: each that is missing is told with the command that grants it, and those of docs/kafka.md are enough, and none too many.
import { readFile } from 'node:fs/promises'
import t, { type Test } from 'tap'
import { HostError } from '#host/errors.js'
import { kafkaWriteSettings } from '#host/log/kafka/write-settings.js'
import type { Log } from '#host/log/log.js'
import { newAuthority } from '../test/support/kafka/certificates.js'
import { quietKafka } from '../test/support/kafka/client.js'
import {
  kafkaLog,
  type Names,
  ownNames,
  plainListener,
  recordOf,
  steps,
  tlsListener,
  wholeRound,
} from '../test/support/kafka/secure.js'
import { ownBroker, ownName } from '../test/support/kafka/shared.js'
import { until } from '../test/support/until.js'

const users = { counter: 'of counter', newcomer: 'of newcomer', reader: 'of reader' }
type User = keyof typeof users

const authority = newAuthority('brokers')
const own = authority.issue({ name: 'broker', addresses: ['127.0.0.1'] })

const broker = await ownBroker(t, {
  listeners: { SASL: 'SASL_PLAINTEXT', MUTUAL: 'SSL' },
  properties: {
    'sasl.enabled.mechanisms': 'PLAIN',
    ...plainListener('SASL', users),
    ...tlsListener('MUTUAL', own, authority),
    'listener.name.mutual.ssl.client.auth': 'required',
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    // Whoever comes by the listener without authentication: the broker itself, tools and the tests' administrator.
    'super.users': 'User:ANONYMOUS',
  },
})
const administrator = kafkaLog(t, broker.address)
const admin = quietKafka(broker.address).admin()
t.teardown(() => admin.disconnect())
await admin.connect()

const prefix = 'shop-'

const logOf = (t: Test, user: User): Log =>
  kafkaLog(t, broker.listener('SASL'), {
    sasl: { mechanism: 'plain', username: user, password: users[user] },
    write: kafkaWriteSettings({ transactionalIdPrefix: prefix }),
  })

/** The arguments of each call of kafka-acls.sh in a text, but for those that say who calls it, and where. */
const commandsIn = (text: string): string[][] =>
  [
    ...text.matchAll(
      /kafka-acls\.sh (?:\$ADMIN |(?:--bootstrap-server \S+ )?(?:--command-config \S+ )?)(--add [^\n(]+)/g,
    ),
  ].map(([, args = '']) => args.trim().replaceAll("'", '').split(/\s+/))

const kinds = { topic: 2, group: 3, 'transactional-id': 5 } as const
const operations = {
  Read: 3,
  Write: 4,
  Create: 5,
  Delete: 6,
  Describe: 8,
  DescribeConfigs: 10,
} as const
const patterns = { literal: 3, prefixed: 4 } as const
const allow = 3

interface Grant {
  readonly kind: keyof typeof kinds
  readonly operation: keyof typeof operations
}

const ruleOf = ({ kind, operation }: Grant, user: User) => ({
  resourceType: kinds[kind],
  resourceName: prefix,
  resourcePatternType: patterns.prefixed,
  principal: `User:${user}`,
  host: '*',
  operation: operations[operation],
  permissionType: allow,
})

/** Resolves when the broker goes by it: it hears of a rule a moment after the controller has taken it. */
async function heard(grant: Grant, user: User, isGranted: boolean): Promise<void> {
  await until(`${grant.operation} is known`, async () => {
    const { resources } = await admin.describeAcls(ruleOf(grant, user))
    return resources.length > 0 === isGranted
  })
}

async function revoke(grant: Grant, user: User): Promise<void> {
  await admin.deleteAcls({ filters: [ruleOf(grant, user)] })
  await heard(grant, user, false)
}

async function grant(granted: Grant, user: User): Promise<void> {
  await admin.createAcls({ acl: [ruleOf(granted, user)] })
  await heard(granted, user, true)
}

type Step = keyof typeof steps

/** Undefined: it was done. */
async function attempt(log: Log, step: Step, names: Names): Promise<HostError | undefined> {
  try {
    await steps[step](log, names)
    return undefined
  } catch (thrown) {
    if (thrown instanceof HostError) return thrown
    throw thrown
  }
}

/** Patience for what passes ends after 15 s or more. */
const quickMs = 10_000

/** Tries all steps; what the user may not do the administrator does, for the steps behind it. The messages of those that were refused. */
async function refusals(t: Test, log: Log, names: Names): Promise<Partial<Record<Step, string>>> {
  const found: Partial<Record<Step, string>> = {}
  for (const step of Object.keys(steps) as Step[]) {
    const since = performance.now()
    const error = await attempt(log, step, names)
    if (error === undefined) continue
    t.equal(error.code, 'BROKER_REFUSED', `${step}: ${error.message}`)
    t.ok(performance.now() - since < quickMs, `nobody waits for ${step}`)
    found[step] = error.message
    t.equal(await attempt(administrator, step, names), undefined)
  }
  return found
}

const docs = await readFile('docs/kafka.md', 'utf8')
const documented = commandsIn(docs)

const valuesOf = (args: readonly string[], flag: string): string[] =>
  args.filter((_, at) => args[at - 1] === flag)

/** One by one. */
const grants = documented.flatMap((args): Grant[] => {
  const kind = (Object.keys(kinds) as Grant['kind'][]).find((one) => args.includes(`--${one}`))
  if (kind === undefined) throw new Error(`unknown: ${args.join(' ')}`)
  return valuesOf(args, '--operation').map((operation) => ({
    kind,
    operation: operation as Grant['operation'],
  }))
})

t.test('the rights that are documented are enough for all that a host does', async (t) => {
  t.equal(documented.length, 3)
  for (const args of documented) await broker.tool('kafka-acls', args)
  for (const each of grants) await heard(each, 'counter', true)
  await wholeRound(t, logOf(t, 'counter'), ownNames(prefix))
})

/** What cannot be done without it, and the right that the message names. */
const without: Readonly<Record<string, Partial<Record<Step, RegExp>>>> = {
  'topic Read': {
    read: /Read on the topic shop-clicks-\w+;/,
    commit: /Read on the topic shop-clicks-\w+;/,
  },
  'topic Write': {
    append: /Write on the topic shop-clicks-\w+;/,
    appendAll: /Write on the topic shop-clicks-\w+;/,
    commit: /Write on the topic shop-clicks-\w+-(out|table);/,
  },
  'topic Create': { ensure: /Create on the topic shop-clicks-\w+(-out|-table)?;/ },
  'topic Delete': { remove: /Delete on the topic shop-clicks-\w+(-out|-table)?;/ },
  'topic DescribeConfigs': {
    ensure: /DescribeConfigs on the topic shop-clicks/,
    join: /DescribeConfigs on the topic shop-clicks/,
    offsetAt: /DescribeConfigs on the topic shop-clicks/,
    describe: /DescribeConfigs on the topic shop-clicks/,
  },
  'group Read': {
    join: /Read on the group shop-clicks-\w+-group;/,
    commit: /Read on the group shop-clicks-\w+-group;/,
  },
  'group Delete': { remove: /Delete on the group shop-clicks-\w+-group;/ },
  'transactional-id Write': {
    appendAll: /Write on the transactional-id shop-test-\w+-append-[\w-]+-0;/,
    commit: /Write on the transactional-id shop-shop-clicks-\w+-group-0;/,
  },
}

t.test('none of them is too many, and what is refused names the one that is missing', async (t) => {
  t.same(
    grants.map(({ kind, operation }) => `${kind} ${operation}`).sort(),
    Object.keys(without).sort(),
  )
  for (const missing of grants) {
    const { kind, operation } = missing
    await t.test(`${kind} ${operation}`, async (t) => {
      await revoke(missing, 'counter')
      const log = logOf(t, 'counter')
      const found = await refusals(t, log, ownNames(prefix))
      await grant(missing, 'counter')
      const expected = without[`${kind} ${operation}`] ?? {}
      t.strictSame(Object.keys(found), Object.keys(expected))
      for (const [step, message] of Object.entries(found)) {
        t.match(message, expected[step as Step])
        t.match(message, /: User:counter lacks the right /)
      }
    })
  }
})

t.test('who may do nothing is told so at each step', async (t) => {
  const names = ownNames(prefix)
  const found = await refusals(t, logOf(t, 'newcomer'), names)
  t.match(found, {
    ensure: `lacks the right Describe (which Read and Write include) on the topic ${names.input}`,
    append: 'lacks the right',
    appendAll: 'lacks the right',
    read: 'lacks the right',
    join: 'lacks the right',
    commit: `lacks the right Write on the transactional-id ${prefix}${names.group}-0`,
    committed: `lacks the right Read on the group ${names.group}`,
    offsetAt: 'lacks the right',
    describe: 'lacks the right',
    remove: `lacks the right`,
  })
  // Whether it exists he may not know either.
  await t.rejects(logOf(t, 'newcomer').describe([ownName('missing')]), { code: 'BROKER_REFUSED' })
})

/** Reads the first record of a topic, which the administrator has made, and grants what the messages say until it can. */
async function readByCommands(t: Test, log: Log): Promise<{ topic: string; given: string[] }> {
  const topic = ownName('clicks')
  await administrator.ensure([{ name: topic, kind: 'stream', partitions: 1 }])
  await administrator.append([recordOf(topic, 'a')])
  const given: string[] = []
  // Each is told when those before it are granted, which the broker hears of a moment later.
  const values = await until('it can be read', async () => {
    try {
      return await steps.read(log, { ...ownNames(), input: topic })
    } catch (thrown) {
      if (!(thrown instanceof HostError)) throw thrown
      t.match(thrown, { code: 'BROKER_REFUSED', stream: topic })
      const [args = []] = commandsIn(thrown.message)
      if (given.at(-1) === args.join(' ')) return undefined
      given.push(args.join(' '))
      await broker.tool('kafka-acls', args)
      return undefined
    }
  })
  t.strictSame(values, ['a'])
  return { topic, given }
}

t.test('the command in a message grants what is missing', async (t) => {
  const { topic, given } = await readByCommands(t, logOf(t, 'reader'))
  const command = (operation: string) =>
    `--add --allow-principal User:reader --operation ${operation} --topic ${topic}`
  t.strictSame(given, [command('Describe'), command('Read')])
})

t.test('and so to a user that is known by a certificate', async (t) => {
  const visitor = authority.issue({ name: 'visitor', organization: 'Shop' })
  const ssl = { ca: authority.cert, ...visitor }
  const { given } = await readByCommands(t, kafkaLog(t, broker.listener('MUTUAL'), { ssl }))
  t.match(given[0], '--add --allow-principal User:CN=visitor,O=Shop --operation Describe')
  t.equal(given.length, 2)
})

t.test(
  'groups of others, of which a user may know and no more, do not hold up what it removes',
  async (t) => {
    const [others, names] = [ownNames(), ownNames(prefix)]
    await steps.ensure(administrator, others)
    await steps.join(administrator, others)
    await steps.commit(administrator, others)
    const log = logOf(t, 'counter')
    await steps.ensure(log, names)
    const knowing = [
      '--add',
      '--allow-principal',
      'User:counter',
      '--operation',
      'Describe',
      '--cluster',
    ]
    await broker.tool('kafka-acls', knowing)
    const seer = quietKafka(broker.listener('SASL'), {
      sasl: { mechanism: 'plain', username: 'counter', password: users.counter },
    }).admin()
    t.teardown(() => seer.disconnect())
    await seer.connect()
    await until('it knows of the group', async () => {
      const { groups } = await seer.listGroups()
      return groups.some(({ groupId }) => groupId === others.group)
    })
    await steps.remove(log, names)
    t.strictSame(await steps.describe(log, names), [])
  },
)
