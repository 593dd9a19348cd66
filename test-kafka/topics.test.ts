import t from 'tap'
import { kafkaLog, recordOf } from '../test/support/kafka/secure.js'
import { brokerAddress, ownName } from '../test/support/kafka/shared.js'
import { runTool } from '../test/support/kafka/tool.js'

const address = await brokerAddress(t)
const log = kafkaLog(t, address)

t.test('what the cluster does not make is told at once, in its own words', async (t) => {
  const name = ownName('clicks')
  const spec = { name, kind: 'stream', partitions: 1, replication: 3 } as const
  await t.rejects(log.ensure([spec]), {
    code: 'BROKER_REFUSED',
    message:
      /clicks-\w+ with 3 copies \(INVALID_REPLICATION_FACTOR, .*1 broker.*\): start more brokers, or set log.replication/,
  })
  await t.rejects(log.ensure([{ ...spec, name: 'no/topic', replication: 1 }]), {
    code: 'BROKER_REFUSED',
    message: /no\/topic \(INVALID_TOPIC_EXCEPTION/,
  })
  t.same(await log.describe([name]), new Map())
})

t.test('topic manager: create', async (t) => {
  const [clicks, table] = [ownName('clicks'), ownName('clicks-table')]
  await log.ensure([
    { name: clicks, kind: 'stream', partitions: 3, retentionMs: 3_600_000 },
    { name: table, kind: 'table', partitions: 2 },
  ])
  const found = await log.describe([clicks, table])
  t.match(found.get(clicks), { kind: 'stream', partitions: { length: 3 } })
  t.match(found.get(table), { kind: 'table', partitions: { length: 2 } })
  t.strictSame(await log.append([recordOf(clicks, 'a', 2)]), [0], 'it takes records at once')
  const settings = await runTool(address, 'kafka-configs', [
    ...['--describe', '--entity-type', 'topics', '--entity-name', clicks],
  ])
  t.match(settings, /cleanup\.policy=delete .*retention\.ms=3600000 /s)
})

t.test('topic manager: idempotent, also for several hosts at the same time', async (t) => {
  const hosts = [1, 2, 3, 4].map(() => kafkaLog(t, address))
  const names = [1, 2, 3].map(() => ownName('clicks'))
  const specs = names.map((name) => ({ name, kind: 'table', partitions: 2 }) as const)
  await Promise.all(hosts.map((host) => host.ensure(specs)))
  const made = await log.describe(names)
  t.strictSame([...made.keys()].sort(), [...names].sort())
  await log.ensure(specs)
  const ids = (found: typeof made) => names.map((name) => found.get(name)?.id)
  t.strictSame(ids(await log.describe(names)), ids(made), 'what is there stays')
})

t.test('topic manager: partition mismatch', async (t) => {
  const name = ownName('clicks')
  await log.ensure([{ name, kind: 'stream', partitions: 2 }])
  const otherwise = {
    code: 'TOPIC_MISMATCH',
    message: new RegExp(`${name} is a stream of 2 partitions`),
  }
  for (const partitions of [1, 3]) {
    await t.rejects(log.ensure([{ name, kind: 'stream', partitions }]), otherwise)
  }
  t.match((await log.describe([name])).get(name), { partitions: { length: 2 } }, 'it is left alone')
})

t.test('a host that may make none says how one is made', async (t) => {
  const name = ownName('clicks')
  const bound = kafkaLog(t, address, { createTopics: false })
  const spec = { name, kind: 'table', partitions: 4 } as const
  await t.rejects(bound.ensure([spec]), {
    code: 'UNKNOWN_TOPIC',
    message: new RegExp(
      `kafka-topics.sh --bootstrap-server ${address} --create --topic ${name} --partitions 4 .*cleanup.policy=compact`,
    ),
  })
  await log.ensure([spec])
  await bound.ensure([spec])
})

t.test('a group that has members is not removed, nor its topics', async (t) => {
  const [input, group] = [ownName('clicks'), ownName('counts')]
  await log.ensure([{ name: input, kind: 'stream', partitions: 1 }])
  await log.append([recordOf(input, 'a')])
  const membership = await log.join({
    group,
    topics: [input],
    instance: 'one',
    async assigned() {},
    async revoked() {},
    lost() {},
  })
  await t.rejects(log.remove([input], { groups: [group] }), {
    code: 'GROUP_IN_USE',
    message: /NON_EMPTY_GROUP\): it has members; stop the hosts/,
  })
  t.ok((await log.describe([input])).has(input))
  await membership[Symbol.asyncDispose]()
  await log.remove([input], { groups: [group] })
  t.same(await log.describe([input]), new Map())
  await log.remove([input], { groups: [group] })
})

// The log of all tests is open, so the process would not end by itself.
t.end()
