// `npm run bench`: measures the real host as a child process, by its command line and HTTP alone. A wrong total fails it.
import { concurrent } from './concurrency.js'
import { count } from './count.js'
import { delivery } from './delivery.js'
import { emits } from './emits.js'
import { failover } from './failover.js'
import { latency } from './latency.js'
import { reads } from './reads.js'
import { rebalance } from './rebalance.js'
import { recovery } from './recovery.js'
import { restart } from './restart.js'
import { benchCommand, orFail, type RunOptions, runFigures } from './run.js'
import { swap } from './swap.js'
import { testkit } from './testkit.js'
import { upkeep } from './upkeep.js'
import { values } from './values.js'

const figures = [
  count,
  emits,
  latency,
  reads,
  swap,
  recovery,
  restart,
  rebalance,
  failover,
  concurrent,
  delivery,
  values,
  testkit,
  upkeep,
]

const command = benchCommand(
  'bench',
  figures.map(({ name }) => name),
)
  .option(
    '--log <log>',
    'embedded, or kafka://host:port[,host:port] of a Kafka that runs',
    'embedded',
  )
  .parse()
await orFail(() => runFigures(figures, command.opts<RunOptions>()))
