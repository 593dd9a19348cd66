// What the simulation of a large group says of small ones, where it can be counted by hand; and that docs/scaling.md has what it prints.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { Cluster } from '#bench/simulate/cluster.js'
import { type Costs, defaults } from '#bench/simulate/costs.js'
import { limitsOf } from '#bench/simulate/limits.js'
import { report } from '#bench/simulate/report.js'

/** Twelve tables of about 1 GB each, on three instances; all times but those of a test are nothing. */
const small: Costs = {
  ...defaults,
  partitions: 12,
  instances: 3,
  tableBytes: 12e9,
  changelogRatio: 1,
  diskRatio: 1,
  changedBytesPerSecond: 0,
  replayBytesPerSecond: 100e6,
  replayRecordsPerSecond: 1e9,
  brokers: 1,
  brokerReadBytesPerSecond: 1e12,
  heartbeatMs: 0,
  drainMs: 0,
  joinMs: 0,
  fenceMs: 0,
}

const clusterOf = (costs: Partial<Costs> = {}, standbys = 0): Cluster =>
  new Cluster({ costs: { ...small, ...costs }, seed: 1, standbys })

const near = (value: number, expected: number, share = 0.1): boolean =>
  Math.abs(value - expected) <= expected * share

t.test('what is lost is replayed by who gets it, and served then', async (t) => {
  const cluster = clusterOf()
  cluster.lose('host-000')
  cluster.untilServed()
  const { moved, replayedBytes, outages } = cluster.account
  t.equal(moved, 4)
  t.ok(near(replayedBytes, 4e9), `${replayedBytes}`)
  // Two tables of 1 GB each at 100 MB/s, once the session of 10 s is over.
  t.ok(near(Math.max(...outages), 30_000), `${Math.max(...outages)}`)
  t.equal(outages.length, 4 + 8, 'the others stand still for the rebalance')
})

t.test('a standby takes over at once, and another copy is made', async (t) => {
  const cluster = clusterOf({}, 1)
  cluster.lose('host-000')
  cluster.untilServed()
  t.equal(cluster.account.moved, 4)
  t.ok(near(Math.max(...cluster.account.outages), 10_000, 0.01))
  cluster.untilWarm()
  // Two instances have all twelve now: each the copies that it had not.
  t.ok(near(cluster.account.replayedBytes, 8e9), `${cluster.account.replayedBytes}`)
  t.ok(near(cluster.account.mostDiskBytes, 12e9))
})

t.test(
  'one that is back within its session gets what it had, and reads what was changed',
  async (t) => {
    const cluster = clusterOf({ changedBytesPerSecond: 12e6, restartMs: 5_000 })
    cluster.restart('host-001')
    cluster.untilServed()
    t.equal(cluster.account.moved, 0)
    // 1 MB/s of each of its four, for 5 s.
    t.ok(near(cluster.account.replayedBytes, 20e6), `${cluster.account.replayedBytes}`)
  },
)

t.test('brokers that hand out no more slow all down', async (t) => {
  const replayed = (brokerReadBytesPerSecond: number): number => {
    const cluster = clusterOf({ brokerReadBytesPerSecond })
    cluster.leave('host-000')
    cluster.untilServed()
    return cluster.now
  }
  // Two replay at 100 MB/s each.
  t.ok(near(replayed(20e6) / replayed(200e6), 10))
})

t.test('one that joins reads its share; those that stay do not', async (t) => {
  const cluster = clusterOf()
  cluster.join(['new'])
  cluster.untilServed()
  t.equal(cluster.account.moved, 3)
  t.ok(near(cluster.account.replayedBytes, 3e9), `${cluster.account.replayedBytes}`)
})

t.test('where standbys are kept one that joins copies its share before it gets it', async (t) => {
  const cluster = clusterOf({}, 1)
  cluster.join(['new'])
  cluster.untilServed()
  t.equal(cluster.account.moved, 0)
  cluster.untilWarm()
  t.equal(cluster.account.moved, 3)
  // It asks when its copies are there, and once more when those are that its share has set free.
  t.equal(cluster.account.rebalances, 3)
  // Its share, and as much of the others' copies: twice 3 GB, and a little.
  t.ok(near(cluster.account.replayedBytes, 6e9, 0.2), `${cluster.account.replayedBytes}`)
  t.ok(near(Math.max(...cluster.account.outages), 0, 1), `${cluster.account.outages}`)
})

t.test('one that is back gets what it had, by what its disk holds', async (t) => {
  const cluster = clusterOf({ changedBytesPerSecond: 12e3 })
  cluster.leave('host-000')
  cluster.untilServed()
  const { replayedBytes } = cluster.account
  cluster.join(['host-000'])
  cluster.untilServed()
  t.equal(cluster.account.moved, 8, 'there and back')
  t.ok(cluster.account.replayedBytes - replayedBytes < 1e6, `${cluster.account.replayedBytes}`)
})

t.test('transactions go with partitions, and so does the interval that is forced', async (t) => {
  const costs = { ...small, flushIntervalMs: 100, brokerTransactionsPerSecond: 20 }
  t.match(limitsOf(costs, 0), {
    transactionsPerSecond: { atFlushInterval: 120 },
    leastFlushIntervalMs: 600,
    transactionalIds: 12 + 3 * 8,
  })
})

t.test('the same seed says the same, and docs/scaling.md has it', async (t) => {
  const costs = { ...defaults, partitions: 60, instances: 6 }
  t.equal(report(costs, 7), report(costs, 7))
  t.not(report(costs, 7), report(costs, 8))
  const page = readFileSync('docs/scaling.md', 'utf8')
  const missing = report(defaults, 1, { isLong: false })
    .split('\n')
    .filter((line) => !page.includes(line))
  t.same(missing, [], 'npm run simulate')
})
