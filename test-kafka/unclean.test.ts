// Three brokers. The leader of a partition dies, and one that was not in sync takes its place: what was acknowledged meanwhile is
// gone, and other records are at its offsets.
import t, { type Test } from 'tap'
import { brokersOf, quietKafka } from '../test/support/kafka/client.js'
import { type Node, startCluster } from '../test/support/kafka/cluster.js'
import {
  click,
  halted,
  produceClicks,
  running,
  type SumCase,
  sumCase,
  sumSource,
  wiped,
} from '../test/support/kafka/sum.js'
import { until } from '../test/support/until.js'

const cluster = await startCluster()
t.teardown(() => cluster[Symbol.asyncDispose]())
const known = brokersOf(t, cluster.address(3), { brokers: [...cluster.addresses] })

/** The one that leads, and the one that will lead without what it has missed. */
const [leader, other] = [1, 2] as const

const untilLed = async (topic: string, node: Node): Promise<void> => {
  await until(`${topic} is led by ${node}`, async () => {
    const found = (await known.topics([topic])).get(topic)
    return found?.partitions[0]?.leader === node
  })
}

/** On the two alone, and led by either of them, whatever it has. */
async function makeFragile(topic: string, cleanup: 'compact' | 'delete'): Promise<void> {
  const settings = {
    'cleanup.policy': cleanup,
    'unclean.leader.election.enable': 'true',
    'min.insync.replicas': '1',
  }
  const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }))
  const replicaAssignment = [{ partition: 0, replicas: [leader, other] }]
  const admin = quietKafka(cluster.address(3)).admin()
  await admin.connect()
  await admin.createTopics({
    topics: [{ topic, replicaAssignment, configEntries }],
    waitForLeaders: false,
  })
  await admin.disconnect()
  await untilLed(topic, leader)
}

const env = { MILLRACE_LOG_BROKERS: cluster.addresses.join(',') }
const inputs = { live: sumCase(t, 'input-live', env), stopped: sumCase(t, 'input-stopped', env) }
const tables = { live: sumCase(t, 'table-live', env), stopped: sumCase(t, 'table-stopped', env) }
const calm = sumCase(t, 'calm', env)
const fragile = [
  ...Object.values(inputs).map(({ clicks }) => clicks),
  ...Object.values(tables).map(({ table }) => table),
]
const hostOf = (one: SumCase) => one.host('one')
const hosts = {
  inputs: { live: hostOf(inputs.live), stopped: hostOf(inputs.stopped) },
  tables: { live: hostOf(tables.live), stopped: hostOf(tables.stopped) },
  calm: hostOf(calm),
}
const stopped = [hosts.inputs.stopped, hosts.tables.stopped, hosts.calm]
const all = [hosts.inputs.live, hosts.tables.live, ...stopped]

// Once, for all that is looked at below: each end and start of a broker takes its time.
for (const { clicks } of Object.values(inputs)) await makeFragile(clicks, 'delete')
for (const { table } of Object.values(tables)) await makeFragile(table, 'compact')
const everywhere = (work: (host: (typeof all)[number]) => Promise<unknown>) =>
  Promise.all(all.map(work))
await everywhere(running)
await everywhere((host) => click(host, { kept: 1 }))
await cluster.stop(other)
await everywhere(async (host) => {
  for (const by of [1, 2, 4]) await click(host, { lost: by, kept: 10 })
})
await Promise.all(stopped.map((host) => host.stop()))
await cluster.kill(leader)
await cluster.start(other)
await Promise.all(fragile.map((topic) => untilLed(topic, other)))
await cluster.start(leader)

/** So many, that they go beyond all positions of before. */
const anew = [100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600]
const sumAnew = anew.reduce((sum, by) => sum + by, 0)
const produceAnew = (t: Test, topic: string) =>
  produceClicks(t, cluster.address(other), topic, 'anew', anew)

const lost = (topic: string) => ({
  code: 'INPUT_LOST',
  message: new RegExp(`${topic}, partition 0 was cut off at \\d+ .*onDataLoss: 'continue'`),
})

t.test('an input that is cut under a host halts it, until it may go on', async (t) => {
  const host = hosts.inputs.live
  const { clicks } = inputs.live
  await produceAnew(t, clicks)
  t.match(await halted(host), { code: 'INPUT_LOST', message: /was cut at offset \d+/ })
  await fetch(`${host.host.url}/functions/click-count/resume`, { method: 'POST' })
  await until('it has halted again', async () => {
    const { message = '' } = (await host.status('click-count'))?.error ?? {}
    return lost(clicks).message.test(message)
  })
  t.match(await host.get('/views/click-count/anew'), { status: 503 }, 'nothing of it was counted')
  host.save('click-count.ts', sumSource(`onDataLoss: 'continue',`))
  await until('all that is new counts', async () => {
    const { status, body } = await host.get('/views/click-count/anew')
    return status === 200 && body === sumAnew
  })
  t.equal(await host.view('click-count', 'lost'), 7, 'what it has handled counts')
})

t.test('an input that is cut while the host is stopped halts it, until it may go on', async (t) => {
  const host = hosts.inputs.stopped
  const { clicks } = inputs.stopped
  await produceAnew(t, clicks)
  await host.start()
  t.match(await halted(host), lost(clicks))
  host.save('click-count.ts', sumSource(`onDataLoss: 'continue',`))
  await until('all that is new counts', async () => {
    const { status, body } = await host.get('/views/click-count/anew')
    return status === 200 && body === sumAnew
  })
  t.equal(await host.view('click-count', 'lost'), 7)
  await host.stop()
  await running(host)
  await click(host, { anew: 1 })
  t.equal(await host.view('click-count', 'anew'), sumAnew + 1, 'none is counted again')
})

const cutOff = /was cut off below what is stored/

t.test('a table whose topic is cut under a host is made as the topic is', async (t) => {
  const host = hosts.tables.live
  // More than was lost. It is told by the first flush that another leader takes, unless the group has been without a coordinator for
  // longer than a session: then by the opening.
  for (const by of anew) await click(host, { anew: by })
  t.match(wiped(host), cutOff)
  t.equal(await host.view('click-count', 'lost'), undefined)
  t.equal(await host.view('click-count', 'kept'), 1)
  t.equal(await host.view('click-count', 'anew'), sumAnew)
})

t.test('so is one whose topic is cut while the host is stopped', async (t) => {
  const host = hosts.tables.stopped
  const second = tables.stopped.host('two')
  await running(second)
  for (const by of anew) await click(second, { anew: by })
  t.equal(await second.view('click-count', 'kept'), 1)
  await second.stop()
  await running(host)
  t.match(wiped(host), cutOff)
  t.equal(await host.view('click-count', 'lost'), undefined)
  t.equal(await host.view('click-count', 'kept'), 1)
  t.equal(await host.view('click-count', 'anew'), sumAnew)
})

t.test('where only leaders have moved, nothing is lost, and no table is rebuilt', async (t) => {
  const host = hosts.calm
  await running(host)
  t.equal(wiped(host), undefined)
  t.equal(await host.view('click-count', 'lost'), 7)
  await click(host, { lost: 8 })
  t.equal(await host.view('click-count', 'lost'), 15)
  await host.stop()
  await running(host)
  t.equal(wiped(host), undefined)
})

// The brokers of all tests are asked through connections that stay open.
t.end()
