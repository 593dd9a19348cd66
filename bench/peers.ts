// `npm run bench:peers`: a host beside Kafka Streams, on the same broker, with the same input, in turns.
import { startBroker } from '../test/support/kafka/broker.js'
import { countBesidePeers } from './peers/count.js'
import { latencyBesidePeers } from './peers/latency.js'
import { benchCommand, orFail, positive, type RunOptions, runFigures } from './run.js'

interface Options extends Omit<RunOptions, 'log'> {
  readonly log?: string
  readonly keys: readonly number[]
  readonly commitInterval: number
}

const defaultKeys: readonly number[] = [1000, 100_000]

const { log, keys, commitInterval, ...options } = benchCommand('bench:peers', ['count', 'latency'])
  .option('--log <log>', 'kafka://host:port[,host:port] of a Kafka that runs; else one is started')
  .option('--keys <n...>', 'of the events to count', several, defaultKeys)
  .option('--commit-interval <ms>', 'of Kafka Streams', positive, 100)
  .parse()
  .opts<Options>()

const figures = [countBesidePeers(keys, commitInterval), latencyBesidePeers(commitInterval)]
await orFail(async () => {
  if (log !== undefined) {
    if (log === 'embedded') throw new TypeError('--log: Kafka Streams needs a Kafka')
    return runFigures(figures, { ...options, log })
  }
  await using broker = await startBroker()
  await runFigures(figures, { ...options, log: `kafka://${broker.address}` })
})

/** The first one takes the place of the default. */
function several(text: string, before: readonly number[]): number[] {
  const value = positive(text)
  return before === defaultKeys ? [value] : [...before, value]
}
