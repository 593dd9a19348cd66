// From an emit to its effect in a view: a host over HTTP, Kafka Streams by a query in its own process; all stay up, and take turns.
import { join } from 'node:path'
import { Stack } from '#host/lifecycle.js'
import { Client } from '../client.js'
import { emitToView, latencyKeys, measured, warmUp } from '../emit-to-view.js'
import { type BenchOptions, type Figure, percentile } from '../figure.js'
import { startHostProcess } from '../host-process.js'
import { feederFunction, makeProject } from '../project.js'
import { type Host, hosts } from './hosts.js'
import { type Guarantee, openPeer, type Peer, startStreams, streamsName } from './streams.js'

const targets = [
  { share: 0.5, atMost: 8 },
  { share: 0.99, atMost: 18 },
] as const

/** Of the Java producer that emits: its default, and what serves single records best. */
const lingersMs = [5, 0] as const

/** One that is up. */
interface Contender {
  readonly name: string
  /** The milliseconds of so many. */
  measure(count: number): Promise<number[]>
}

export function latencyBesidePeers(commitMs: number): Figure {
  return {
    name: 'latency',
    async measure(options) {
      const peer = await openPeer(options, commitMs)
      await using stack = new Stack()
      const own: Contender[] = []
      for (const host of hosts) own.push(await startHost(options, stack, host))
      const others: Contender[] = []
      for (const guarantee of ['exactly_once_v2', 'at_least_once'] as const) {
        others.push(...(await startPeer(options, stack, peer, guarantee)))
      }
      const all = [...own, ...others]
      for (const each of all) {
        options.say(`latency: ${warmUp} to warm up, ${each.name}`)
        await each.measure(warmUp)
      }
      const samples = new Map(all.map((each): [Contender, number[][]] => [each, []]))
      for (let run = 1; run <= options.runs; run += 1) {
        for (const each of all) {
          options.say(`latency: run ${run} of ${options.runs}, ${each.name}`)
          samples.get(each)?.push(await each.measure(measured))
        }
      }
      const of = (each: Contender, share: number) =>
        (samples.get(each) ?? []).map((times) => percentile(times, share))
      return own.flatMap((host) =>
        others.flatMap((other) =>
          targets.map(({ share, atMost }) => ({
            name: `emit → view over HTTP, p${share * 100}, ${host.name}`,
            unit: 'ms',
            samples: of(host, share),
            target: { atMost },
            peer: { name: other.name, samples: of(other, share) },
          })),
        ),
      )
    },
  }
}

async function startHost(
  { folder, log }: BenchOptions,
  stack: Stack,
  { name, text }: Host,
): Promise<Contender> {
  const root = await makeProject(join(folder, `latency-${name}`), { 'click-count': text })
  const data = join(folder, `latency-${name}-data`)
  const host = stack.use(await startHostProcess({ root, data, env: log.env(`latency-${name}`) }))
  await host.ready()
  const timesOf = emitToView(stack.use(new Client(host.url)))
  return { name, measure: (count) => timesOf('clicks', count) }
}

async function startPeer(
  { folder, log }: BenchOptions,
  stack: Stack,
  peer: Peer,
  guarantee: Guarantee,
): Promise<Contender[]> {
  const scope = `latency-${guarantee}`
  const topic = await makeStream({ folder, log }, scope)
  const application = `${log.namespace(scope)}counts`
  const state = join(folder, scope)
  const streams = stack.use(startStreams(peer, { topic, application, guarantee, folder: state }))
  return lingersMs.map((lingerMs) => ({
    name: `${streamsName(guarantee)}, not yet committed, linger.ms=${lingerMs}`,
    async measure(count) {
      return (await streams.ask(`latency ${count} ${latencyKeys} ${lingerMs}`)).map(Number)
    },
  }))
}

/** As hosts make them, with as many partitions. */
async function makeStream(
  { folder, log }: Pick<BenchOptions, 'folder' | 'log'>,
  scope: string,
): Promise<string> {
  const root = await makeProject(join(folder, `make-${scope}`), { feeder: feederFunction })
  await using host = await startHostProcess({ root, data: join(root, 'data'), env: log.env(scope) })
  await host.ready()
  return `${log.namespace(scope)}clicks`
}
