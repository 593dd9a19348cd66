// What befalls the group, one event or many, and what it comes to.
import { percentile } from '../figure.js'
import { Cluster } from './cluster.js'
import type { Costs } from './costs.js'

export interface Outcome {
  readonly name: string
  readonly standbys: number
  readonly rebalances: number
  readonly moved: number
  /** Read from the changelog, by owners and by those who keep a copy warm. */
  readonly replayedBytes: number
  readonly outageMs: { readonly p50: number; readonly most: number }
  /** From the event until all are served. */
  readonly servedMs: number
  /** Until each copy is warm again, too. */
  readonly warmMs: number
  readonly mostDiskBytes: number
}

interface Scenario {
  readonly name: string
  /** With how many standbys it is of interest. */
  readonly standbys: readonly number[]
  /** Of many events, so that it takes seconds. */
  readonly isLong?: boolean
  run(cluster: Cluster, costs: Costs): void
}

const firstOf = (cluster: Cluster): string => {
  const [name] = cluster.names
  if (name === undefined) throw new Error('there is no instance')
  return name
}

const added = (count: number): string[] => Array.from({ length: count }, (_, n) => `new-${n}`)

const scenarios: readonly Scenario[] = [
  { name: 'one joins', standbys: [0, 1], run: (cluster) => cluster.join(added(1)) },
  { name: 'ten join at once', standbys: [0, 1], run: (cluster) => cluster.join(added(10)) },
  {
    name: 'one leaves for good',
    standbys: [0, 1],
    run: (cluster) => cluster.leave(firstOf(cluster)),
  },
  {
    name: 'one is lost, its disk with it',
    standbys: [0, 1, 2],
    run: (cluster) => cluster.lose(firstOf(cluster)),
  },
  {
    name: 'rolling restart of all, each is stopped and leaves',
    standbys: [0, 1],
    isLong: true,
    run: (cluster, { restartMs }) =>
      rolling(cluster, (name) => {
        cluster.leave(name)
        cluster.pass(restartMs)
        cluster.join([name])
      }),
  },
  {
    name: 'each is killed, and back within its session',
    standbys: [0, 1],
    isLong: true,
    run: (cluster) => rolling(cluster, (name) => cluster.restart(name)),
  },
]

/** As an operator waits for readiness before the next one. */
function rolling(cluster: Cluster, restart: (name: string) => void): void {
  for (const name of cluster.names) {
    restart(name)
    cluster.untilWarm()
  }
}

/** The same seed gives the same. */
export function outcomes(
  costs: Costs,
  seed: number,
  { isLong = true }: { readonly isLong?: boolean } = {},
): readonly Outcome[] {
  const wanted = scenarios.filter((scenario) => isLong || scenario.isLong !== true)
  return wanted.flatMap(({ name, standbys, run }) =>
    standbys
      .filter((count) => count < costs.instances)
      .map((count) => {
        const cluster = new Cluster({ costs, seed, standbys: count })
        run(cluster, costs)
        cluster.untilServed()
        const servedMs = cluster.now
        cluster.untilWarm()
        const { outages, ...account } = cluster.account
        const outageMs = { p50: percentile(outages, 0.5), most: percentile(outages, 1) }
        return { name, standbys: count, ...account, outageMs, servedMs, warmMs: cluster.now }
      }),
  )
}
