// The count of a host beside that of Kafka Streams: the same topic, in turns; the clock runs from the first record until all are committed.
import { join } from 'node:path'
import { assertCounts, type CountInput, countWithHost, loadEvents } from '../counting.js'
import { type BenchOptions, type Figure, perSecond, type Result, type Target } from '../figure.js'
import { residentMb } from '../memory.js'
import { type Host, hosts } from './hosts.js'
import { type Guarantee, openPeer, type Peer, startStreams, streamsName } from './streams.js'

interface Run {
  readonly rate: number
  readonly fromSpawn: number
  readonly rssMb: number
}

interface Contender {
  readonly name: string
  count(options: BenchOptions, input: CountInput, run: number): Promise<Run>
}

export function countBesidePeers(keyCounts: readonly number[], commitMs: number): Figure {
  return {
    name: 'count',
    async measure(options) {
      const peer = await openPeer(options, commitMs)
      const own = hosts.map(contenderOf)
      const exact = streamsContender(peer, 'exactly_once_v2')
      const atLeast = streamsContender(peer, 'at_least_once')
      // Between its peers, so that each has as much of what the machine does besides.
      const turns = [exact, ...own, atLeast]
      const results: Result[] = []
      for (const keys of keyCounts) {
        const input = await loadEvents(options, keys)
        const runs = new Map(turns.map((turn): [Contender, Run[]] => [turn, []]))
        for (let run = 1; run <= options.runs; run += 1) {
          for (const turn of turns) {
            options.say(`count: run ${run} of ${options.runs}, ${keys} keys, ${turn.name}`)
            runs.get(turn)?.push(await turn.count(options, input, run))
          }
        }
        const isFew = keys < 10_000
        const targets = new Map<Contender, Target>([[exact, { atLeast: isFew ? 1.3 : 2 }]])
        if (!isFew) targets.set(atLeast, { atLeast: 1 })
        for (const host of own) {
          for (const other of [exact, atLeast]) {
            const name = `count, ${keys.toLocaleString('en')} keys, ${host.name}`
            const both = { name, own: runs.get(host) ?? [], peer: other.name }
            results.push(...shown({ ...both, its: runs.get(other) ?? [] }, targets.get(other)))
          }
        }
      }
      return results
    },
  }
}

function contenderOf({ name, text }: Host): Contender {
  return {
    name,
    async count(options, input, run) {
      const { events } = options
      // Another name, so that nothing is there of the run before.
      const counted = await countWithHost(options, input, { name: `${name}-${run}`, text })
      const { spawnedAt, firstAt, reflectedAt, rssMb } = counted
      if (firstAt === undefined) throw new Error('the host has not told of its first record')
      const fromSpawn = perSecond(events, spawnedAt, reflectedAt)
      return { rate: perSecond(events, firstAt, reflectedAt), fromSpawn, rssMb }
    },
  }
}

function streamsContender(peer: Peer, guarantee: Guarantee): Contender {
  return {
    name: streamsName(guarantee),
    async count({ log, folder, events }, input, run) {
      const namespace = log.namespace(input.scope)
      const application = `${namespace}${guarantee}-${run}`
      const topic = `${namespace}clicks`
      const state = join(folder, application)
      await using streams = startStreams(peer, { topic, application, guarantee, folder: state })
      const [times = ''] = await streams.ask(`count ${events}`)
      const committedAt = performance.now()
      const rssMb = await residentMb(streams.pid)
      const table = (await streams.ask('table')).map((line) => line.split(' '))
      assertCounts(new Map(table.map(([key = '', count]) => [key, Number(count)])), input.counts)
      const [first = Number.NaN, committed = Number.NaN] = times.split(' ').map(Number)
      const fromSpawn = perSecond(events, streams.spawnedAt, committedAt)
      return { rate: perSecond(events, first, committed), fromSpawn, rssMb }
    },
  }
}

interface Both {
  readonly name: string
  readonly own: readonly Run[]
  readonly peer: string
  readonly its: readonly Run[]
}

function shown({ name, own, peer, its }: Both, target: Target | undefined): Result[] {
  const figure = (of: keyof Run, what: string, unit: string): Result => ({
    name: `${name}${what}`,
    unit,
    samples: own.map((run) => run[of]),
    peer: { name: peer, samples: its.map((run) => run[of]) },
  })
  const rate = figure('rate', '', 'events/s')
  return [
    { ...rate, ...(rate.peer && target && { peer: { ...rate.peer, target } }) },
    figure('fromSpawn', ', start-up included', 'events/s'),
    figure('rssMb', ', memory at the end', 'MB'),
  ]
}
