// A whole host on three brokers while they are killed, restarted one after the other, and while leaders move: it goes on by itself, and
// nothing is lost or counted twice.
import t, { type Test } from 'tap'
import { brokersOf, quietKafka } from '../test/support/kafka/client.js'
import { type Node, startCluster } from '../test/support/kafka/cluster.js'
import { Load } from '../test/support/kafka/load.js'
import { freePort } from '../test/support/kafka/ports.js'
import { kafkaLog } from '../test/support/kafka/secure.js'
import { ownName } from '../test/support/kafka/shared.js'
import { isReady, isRunning, short, type Trial, trialOf } from '../test/support/kafka/trial.js'
import { until } from '../test/support/until.js'

const cluster = await startCluster()
t.teardown(() => cluster[Symbol.asyncDispose]())
const { nodes, addresses } = cluster
const known = brokersOf(t, cluster.address(1), { brokers: [...addresses] })
const admin = quietKafka(cluster.address(1), { brokers: [...addresses] }).admin()
await admin.connect()
t.teardown(() => admin.disconnect())

const topicsOf = ({ namespace }: Trial) =>
  ['clicks', 'pages', 'click-count-table', 'click-count-loop', 'page-count-table'].map(
    (name) => namespace + name,
  )

const partitionsOf = async (trial: Trial) =>
  [...(await known.topics(topicsOf(trial))).values()].flatMap(({ name, partitions }) =>
    partitions.map((one) => ({ topic: name, ...one })),
  )

/** All copies are in sync again. */
const isWhole = async (trial: Trial): Promise<void> => {
  await until('all copies are in sync', async () =>
    (await partitionsOf(trial)).every(({ inSync, leader }) => inSync.length === 3 && leader > 0),
  )
}

/** Away from the node, or back to all. */
async function place(trial: Trial, replicasOf: (partition: number) => Node[]): Promise<void> {
  const found = await partitionsOf(trial)
  const topics = topicsOf(trial).map((topic) => ({
    topic,
    partitionAssignment: found
      .filter((one) => one.topic === topic)
      .map(({ partition }) => ({ partition, replicas: replicasOf(partition) })),
  }))
  await admin.alterPartitionReassignments({ topics })
  await until('all are where they are to be', async () =>
    (await partitionsOf(trial)).every(({ partition, replicas, inSync, leader }) => {
      const wanted = replicasOf(partition)
      const isPlaced = replicas.length === wanted.length && inSync.length === wanted.length
      return isPlaced && wanted.some((node) => node === leader)
    }),
  )
}

const others = (than: Node): Node[] => nodes.filter((node) => node !== than)

t.test('brokers that die, are restarted one by one, and leaders that move', async (t) => {
  // Two that are not there, and one that tells of all.
  const hostsBy = `127.0.0.1:${await freePort()},127.0.0.1:${await freePort()},${cluster.address(1)}`
  const trial = trialOf(t, 'failover', { hostsBy, addresses })
  const host = trial.host('one')
  await host.start()
  await isRunning(host)
  const made = await partitionsOf(trial)
  t.ok(
    made.every(({ replicas }) => replicas.length === 3),
    'made with as many copies as the brokers have by default',
  )
  t.equal(new Set(made.map(({ leader }) => leader)).size, 3, 'each leads some')
  const load = new Load({ host })
  await load.more(100)

  // It coordinates the group, and leads.
  const group = `${trial.namespace}click-count`
  const coordinator = await known.coordinator('group', group)
  const killed = nodes.find((one) => one === coordinator) ?? 1
  await cluster.kill(killed)
  await load.more(100)
  await isReady(host)
  await cluster.start(killed)
  await isWhole(trial)

  // The only one of those that the host was told of that there ever was.
  await cluster.kill(1)
  const restarted = await fetch(`${host.host.url}/functions/page-count/restart`, { method: 'POST' })
  t.equal(restarted.status, 200)
  await isReady(host)
  await load.more(30)
  await cluster.start(1)
  await isWhole(trial)

  // An orderly end hands over what it leads.
  for (const node of nodes) {
    await cluster.stop(node)
    await load.more(30)
    await cluster.start(node)
    await isWhole(trial)
  }

  // One loses its partitions, copies and all, and all get theirs back: a leader's epoch rises, too, while it goes on to lead.
  await place(trial, () => others(1))
  await load.more(30)
  await place(trial, (partition) => {
    const [first = 1] = nodes.slice(partition % 3)
    return [first, ...others(first)]
  })
  await load.more(30)

  await isReady(host)
  await load.stop()
  t.strictSame(await trial.wrong([load], host), {})
  const rebuilt = host.lines.filter((line) => line.includes('the local table is rebuilt'))
  t.strictSame(rebuilt, [], 'no table was taken for cut off')
  await host.stop()
  await host.start()
  await isRunning(host)
  t.strictSame(
    host.lines.filter((line) => line.includes('the local table is rebuilt')),
    [],
    'nor when it is started anew',
  )
})

/** Joins as a member of a group that reads a topic; what it has is told by the function. */
async function reads(t: Test, topic: string, instance: string): Promise<() => readonly number[]> {
  const log = kafkaLog(t, cluster.address(1), { brokers: [...addresses] })
  let has: readonly number[] = []
  const given = async ({ partitions }: { partitions: readonly number[] }) => {
    has = partitions
  }
  await log.join({
    group: `${topic}-readers`,
    topics: [topic],
    instance,
    assigned: given,
    revoked: async () => await given({ partitions: [] }),
    lost: () => {},
  })
  return () => has
}

t.test('too few copies in sync: what is written waits, and goes on by itself', async (t) => {
  const topic = ownName('on-one')
  const replicaAssignment = [1, 2, 3].map((node, partition) => ({ partition, replicas: [node] }))
  await admin.createTopics({ topics: [{ topic, replicaAssignment }], waitForLeaders: false })
  const one = await reads(t, topic, 'one')
  const hostsBy = addresses.join(',')
  const trial = trialOf(t, 'in-sync', { hostsBy, addresses, env: short })
  const host = trial.host('one')
  await host.start()
  await isRunning(host)
  const load = new Load({ host })
  await load.more(30)
  // All but what is emitted to, which goes on.
  const settings = (topic: string) => [
    { name: 'min.insync.replicas', value: '3' },
    { name: 'cleanup.policy', value: topic.endsWith('table') ? 'compact' : 'delete' },
  ]
  await admin.alterConfigs({
    validateOnly: false,
    resources: topicsOf(trial)
      .filter((topic) => !topic.endsWith('clicks'))
      .map((name) => ({ type: 2, name, configEntries: settings(name) })),
  })
  await cluster.stop(3)
  const why = 'fewer copies are in sync than min.insync.replicas asks for'
  await until(
    'a flush says why',
    () => host.lines.some((line) => line.includes(why)),
    () => host.lines.slice(-20).join('\n'),
  )
  await load.more(20)
  // One of the partitions has no leader: those that read the others are not kept from them.
  const two = await reads(t, topic, 'two')
  const shared = () => [...one(), ...two()].sort()
  await until('they share', () => shared().length === 3 && two().length > 0)
  t.same(shared(), [0, 1, 2])
  await cluster.start(3)
  await load.more(20)
  await isReady(host)
  await load.stop()
  t.strictSame(await trial.wrong([load], host), {})
})

t.test('copies as they are set, or what is to be done', async (t) => {
  const log = kafkaLog(t, cluster.address(1), { brokers: [...addresses] })
  const spec = { kind: 'stream', partitions: 1 } as const
  const [two, four] = [ownName('two'), ownName('four')]
  await log.ensure([{ ...spec, name: two, replication: 2 }])
  t.equal((await known.topics([two])).get(two)?.partitions[0]?.replicas.length, 2)
  await t.rejects(log.ensure([{ ...spec, name: four, replication: 4 }]), {
    code: 'BROKER_REFUSED',
    message: new RegExp(
      `${four} .*4 copies.* only 3 broker.*start more brokers, or set log.replication`,
    ),
  })
  t.same(await log.describe([four]), new Map())
})

// The brokers of all tests are asked through connections that stay open.
t.end()
