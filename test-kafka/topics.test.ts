import t from 'tap'
import { kafkaLog, recordOf } from '../test/support/kafka/secure.js'
import { brokerAddress, ownName } from '../test/support/kafka/shared.js'

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

t.test('several hosts may make the same topics at the same time', async (t) => {
  const hosts = [1, 2, 3, 4].map(() => kafkaLog(t, address))
  const names = [1, 2, 3].map(() => ownName('clicks'))
  const specs = names.map((name) => ({ name, kind: 'table', partitions: 2 }) as const)
  await Promise.all(hosts.map((host) => host.ensure(specs)))
  t.strictSame([...(await log.describe(names)).keys()].sort(), [...names].sort())
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
    code: 'BROKER_REFUSED',
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
