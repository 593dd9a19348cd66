// Events a second through a stateful count: the input lies in the log, then the clock runs until the last token is reflected.
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from './client.js'
import { countByKey, type Event, makeEvents } from './events.js'
import type { BenchOptions, Figure, Result } from './figure.js'
import { countFloor, packEvents } from './floor.js'
import { startHostProcess } from './host-process.js'
import { consumeRate } from './kafkajs.js'
import { residentMb } from './memory.js'
import { countFunction, feederFunction, makeProject } from './project.js'

interface Input {
  readonly keys: number
  /** A data folder in which the events lie; copied for each run. */
  readonly data: string
  readonly packed: string
  readonly lastToken: string
  readonly counts: ReadonlyMap<string, number>
}

interface Run {
  readonly fromSpawn: number
  readonly fromListening: number
  readonly rssMb: number
}

export const count: Figure = {
  name: 'count',
  async measure(options) {
    const inputs: Input[] = []
    for (const keys of [1000, 100_000, 1_000_000]) inputs.push(await load(options, keys))
    const { brokers } = options.log
    const runs = inputs.map((): Runs => ({ host: [], floor: [], kafkajs: [] }))
    for (let run = 0; run < options.runs; run += 1) {
      for (const [n, input] of inputs.entries()) {
        options.say(`count: run ${run + 1} of ${options.runs}, ${input.keys} keys`)
        runs[n]?.host.push(await countWithHost(options, input, run + 1))
        runs[n]?.floor.push(await countFloor(input.packed))
        if (brokers === undefined) continue
        const topic = `${options.log.namespace(`count-${input.keys}`)}clicks`
        runs[n]?.kafkajs.push(await consumeRate(brokers, topic, options.events))
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

async function load({ log, events, folder, say }: BenchOptions, keys: number): Promise<Input> {
  say(`count: loading ${events} events of ${keys} keys`)
  const root = await makeProject(join(folder, `load-${keys}`), { feeder: feederFunction })
  const data = join(folder, `loaded-${keys}`)
  const packed = join(folder, `packed-${keys}`)
  let lastToken = ''
  {
    await using host = await startHostProcess({ root, data, env: log.env(`count-${keys}`) })
    using client = new Client(host.url)
    // Its lines lie in all partitions.
    lastToken = (await client.emitLines('clicks', asLines(makeEvents(events, keys)))).at(-1) ?? ''
  }
  await packEvents(packed, makeEvents(events, keys))
  return { keys, data, packed, lastToken, counts: countByKey(makeEvents(events, keys)) }
}

function* asLines(events: Iterable<Event>): Generator<string> {
  for (const { key, value } of events) yield `{"key":"${key}","value":${value}}`
}

async function countWithHost(
  { log, events, folder }: BenchOptions,
  input: Input,
  run: number,
): Promise<Run> {
  const text = countFunction('', run)
  const root = await makeProject(join(folder, 'counting'), { 'click-count': text })
  const data = join(folder, 'counting-data')
  await rm(data, { recursive: true, force: true })
  await cp(input.data, data, { recursive: true })
  const env = log.env(`count-${input.keys}`)
  await using host = await startHostProcess({ root, data, env })
  using client = new Client(host.url)
  await client.reflects('click-count', input.lastToken)
  const reflectedAt = performance.now()
  const rssMb = await residentMb(host.pid)
  assertCounts(await client.table<{ count: number }>('click-count'), input.counts)
  return {
    fromSpawn: (events * 1000) / (reflectedAt - host.spawnedAt),
    fromListening: (events * 1000) / (reflectedAt - host.listeningAt),
    rssMb,
  }
}

function assertCounts(
  found: ReadonlyMap<string, { count: number }>,
  right: ReadonlyMap<string, number>,
): void {
  if (found.size !== right.size) {
    throw new Error(`the table has ${found.size} keys, not ${right.size}`)
  }
  for (const [key, count] of right) {
    const value = found.get(key)?.count
    if (value !== count) throw new Error(`${key} was counted ${value} times, not ${count}`)
  }
}
