// From when a group's partitions are shared out anew to the first record that is handled again: of what stays, and of what moves.
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Figure, percentile } from './figure.js'
import { emitToAll, type Gap, gapFunction, longestGaps, partitions } from './gaps.js'
import { startHostProcess } from './host-process.js'
import { makeProject } from './project.js'

const rounds = 12
const settledMs = 1_000

export const rebalance: Figure = {
  name: 'rebalance',
  async measure({ log, runs, folder, say }) {
    if (log.brokers === undefined) return []
    const root = await makeProject(join(folder, 'rebalance'), { gaps: gapFunction() })
    const env = {
      ...log.env('rebalance'),
      MILLRACE_LOG_PARTITIONS: String(partitions),
      MILLRACE_LOGGING_FORMAT: 'json',
    }
    const start = (name: string) =>
      startHostProcess({ root, data: join(folder, `rebalance-${name}`), env })
    await using one = await start('one')
    await one.ready()
    const load = emitToAll(one.url)
    const samples: { readonly stayed: number[]; readonly moved: number[] }[] = []
    for (let run = 0; run < runs; run += 1) {
      say(`rebalance: run ${run + 1} of ${runs}`)
      const gaps: Gap[] = []
      for (let round = 0; round < rounds; round += 1) {
        const joinedAt = Date.now()
        const two = await start('two')
        await two.ready()
        await pause(settledMs)
        gaps.push(...longestGaps([one, two], joinedAt))
        const leftAt = Date.now()
        await two[Symbol.asyncDispose]()
        await pause(settledMs)
        gaps.push(...longestGaps([one], leftAt))
      }
      const of = (moved: boolean) => gaps.filter((gap) => gap.moved === moved).map(({ ms }) => ms)
      samples.push({ stayed: of(false), moved: of(true) })
    }
    await load.end()
    return [0.5, 0.99].flatMap((share) =>
      (['stayed', 'moved'] as const).map((which) => ({
        name: `without a record over a rebalance, partition that ${which}, p${share * 100}`,
        unit: 'ms',
        samples: samples.map((times) => percentile(times[which], share)),
      })),
    )
  },
}
