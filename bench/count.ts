// Events a second through a stateful count: the input lies in the log, then the clock runs until the last token is reflected.
import { join } from 'node:path'
import { type CountInput, countWithHost, loadEvents } from './counting.js'
import { makeEvents } from './events.js'
import { type Figure, perSecond, type Result } from './figure.js'
import { countFloor, packEvents } from './floor.js'
import { consumeRate } from './kafkajs.js'
import { countFunction } from './project.js'

interface Input extends CountInput {
  readonly packed: string
}

interface Run {
  readonly fromSpawn: number
  readonly fromListening: number
  readonly rssMb: number
}

export const count: Figure = {
  name: 'count',
  async measure(options) {
    const { log, events, folder } = options
    const inputs: Input[] = []
    for (const keys of [1000, 100_000, 1_000_000]) {
      const packed = join(folder, `packed-${keys}`)
      inputs.push({ ...(await loadEvents(options, keys)), packed })
      await packEvents(packed, makeEvents(events, keys))
    }
    const { brokers } = log
    const runs = inputs.map((): Runs => ({ host: [], floor: [], kafkajs: [] }))
    for (let run = 0; run < options.runs; run += 1) {
      for (const [n, input] of inputs.entries()) {
        options.say(`count: run ${run + 1} of ${options.runs}, ${input.keys} keys`)
        const text = countFunction({ revision: run + 1 })
        const counted = await countWithHost(options, input, { name: 'click-count', text })
        const { spawnedAt, listeningAt, reflectedAt, rssMb } = counted
        runs[n]?.host.push({
          fromSpawn: perSecond(events, spawnedAt, reflectedAt),
          fromListening: perSecond(events, listeningAt, reflectedAt),
          rssMb,
        })
        runs[n]?.floor.push(await countFloor(input.packed))
        if (brokers === undefined) continue
        const topic = `${log.namespace(input.scope)}clicks`
        runs[n]?.kafkajs.push(await consumeRate(brokers, topic, events))
      }
    }
    return inputs.flatMap(({ keys }, n) =>
      shown(keys, runs[n] ?? { host: [], floor: [], kafkajs: [] }),
    )
  },
}

interface Runs {
  readonly host: Run[]
  readonly floor: number[]
  /** On Kafka. */
  readonly kafkajs: number[]
}

function shown(keys: number, { host, floor, kafkajs }: Runs): Result[] {
  const name = `count, ${keys.toLocaleString('en')} keys`
  const peer = { name: 'one thread: LevelDB, JSON.parse, Map', samples: floor }
  const rates = host.map((run) => run.fromListening)
  const raw = { name: 'kafkajs: consumed, nothing done', samples: kafkajs }
  return [
    { name, unit: 'events/s', samples: rates, peer },
    ...(kafkajs.length === 0 ? [] : [{ name, unit: 'events/s', samples: rates, peer: raw }]),
    {
      name: `${name}, start-up included`,
      unit: 'events/s',
      samples: host.map((run) => run.fromSpawn),
    },
    { name: `${name}, memory at the end`, unit: 'MB', samples: host.map((run) => run.rssMb) },
  ]
}
