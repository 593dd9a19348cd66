// From when a group's partitions are shared out anew to the first record that is handled again: of what stays, and of what moves.
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { partitionOf } from '../host/log/partitioner.js'
import { Client } from './client.js'
import { type Figure, percentile } from './figure.js'
import { type HostProcess, startHostProcess } from './host-process.js'
import { makeProject } from './project.js'

const partitions = 8
const rounds = 12
const emitEveryMs = 4
/** Shorter ones are what flushes and the machine make. */
const leastGapMs = 25
const settledMs = 1_000
const gapLine = 'nothing was handled'

/** Tells each time in which no record of a partition was handled, also when another process has handled the one before. */
const gapFunction = `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { clicks: json() },
  table: json<{ at: number; by: number; count: number }>(),
  on: {
    clicks(ctx) {
      const before = ctx.get()
      const at = Date.now()
      const ms = at - (before?.at ?? at)
      const { partition } = ctx
      if (ms >= ${leastGapMs}) ctx.log.info('${gapLine}', { partition, at, ms, moved: before?.by !== process.pid })
      ctx.set({ at, by: process.pid, count: (before?.count ?? 0) + 1 })
    },
  },
})
`

interface Gap {
  readonly partition: number
  readonly at: number
  readonly ms: number
  readonly moved: boolean
}

const gapsOf = (host: HostProcess): Gap[] =>
  host.said.flatMap((line) => {
    if (!line.includes(gapLine)) return []
    const { partition, at, ms, moved }: Gap = JSON.parse(line)
    return [{ partition, at, ms, moved }]
  })

/** The longest of each partition since then. */
function longest(hosts: readonly HostProcess[], since: number): Gap[] {
  const found = new Map<number, Gap>()
  for (const gap of hosts.flatMap(gapsOf)) {
    if (gap.at < since || gap.ms <= (found.get(gap.partition)?.ms ?? 0)) continue
    found.set(gap.partition, gap)
  }
  return [...found.values()]
}

export const rebalance: Figure = {
  name: 'rebalance',
  async measure({ log, runs, folder, say }) {
    if (log.brokers === undefined) return []
    const root = await makeProject(join(folder, 'rebalance'), { gaps: gapFunction })
    const env = {
      ...log.env('rebalance'),
      MILLRACE_LOG_PARTITIONS: String(partitions),
      MILLRACE_LOGGING_FORMAT: 'json',
    }
    const start = (name: string) =>
      startHostProcess({ root, data: join(folder, `rebalance-${name}`), env })
    await using one = await start('one')
    await one.ready()
    let isOver = false
    const emit = async (key: string) => {
      using client = new Client(one.url)
      for (; !isOver; await pause(emitEveryMs)) await client.emit('clicks', key, {})
    }
    const load = Promise.all(keys.map(emit))
    const samples: { readonly stayed: number[]; readonly moved: number[] }[] = []
    for (let run = 0; run < runs; run += 1) {
      say(`rebalance: run ${run + 1} of ${runs}`)
      const gaps: Gap[] = []
      for (let round = 0; round < rounds; round += 1) {
        const joinedAt = Date.now()
        const two = await start('two')
        await two.ready()
        await pause(settledMs)
        gaps.push(...longest([one, two], joinedAt))
        const leftAt = Date.now()
        await two[Symbol.asyncDispose]()
        await pause(settledMs)
        gaps.push(...longest([one], leftAt))
      }
      const of = (moved: boolean) => gaps.filter((gap) => gap.moved === moved).map(({ ms }) => ms)
      samples.push({ stayed: of(false), moved: of(true) })
    }
    isOver = true
    await load
    return [0.5, 0.99].flatMap((share) =>
      (['stayed', 'moved'] as const).map((which) => ({
        name: `without a record over a rebalance, partition that ${which}, p${share * 100}`,
        unit: 'ms',
        samples: samples.map((times) => percentile(times[which], share)),
      })),
    )
  },
}

/** One for each partition. */
const keys = Array.from({ length: partitions }, (_, partition) => {
  for (let n = 0; ; n += 1) {
    if (partitionOf(Buffer.from(`key-${n}`), partitions, 'murmur2') === partition) return `key-${n}`
  }
})
