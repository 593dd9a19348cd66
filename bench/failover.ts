// A host is killed whose tables another one has copies of: until that one handles their records, beyond the session time-out.
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type Figure, percentile } from './figure.js'
import { emitToAll, type Gap, gapFunction, longestGaps, partitions } from './gaps.js'
import { type HostProcess, startHostProcess } from './host-process.js'
import { makeProject } from './project.js'

const rounds = 6
const sessionMs = 3_000
const targetMs = 2_000
const lookMs = 50
/** Of a copy: what is written while it is looked at. */
const nearlyThere = 200

interface Shown {
  readonly functions: readonly {
    readonly partitions: readonly {
      readonly partition: number
      readonly state: string
      readonly recovery: { readonly position: number | null; readonly end: number | null } | null
    }[]
  }[]
}

async function partitionsOf({ url }: HostProcess) {
  const { functions } = (await (await fetch(`${url}/functions`)).json()) as Shown
  return functions.flatMap(({ partitions }) => partitions)
}

/** Each partition is run by one of the two, and copied, nearly to its end, by the other. */
async function isCopied(hosts: readonly HostProcess[]): Promise<boolean> {
  const shown = await Promise.all(hosts.map(partitionsOf))
  const own = shown.map((of) => of.filter(({ state }) => state === 'running'))
  const copies = shown.flat().filter(({ state, recovery }) => {
    const { position, end } = recovery ?? { position: null, end: null }
    return state === 'standby' && end !== null && position !== null && end - position < nearlyThere
  })
  const running = own.flat().length
  return (
    own.every(({ length }) => length > 0) && running === partitions && copies.length === running
  )
}

/** It has its records by another host now: what is shorter was none. */
const isOf = (taken: readonly number[], { partition, ms }: Gap): boolean =>
  taken.includes(partition) && ms >= sessionMs / 2

export const failover: Figure = {
  name: 'failover',
  async measure({ log, runs, folder, say }) {
    if (log.brokers === undefined) return []
    const gaps = gapFunction('\n  standby: 1,')
    const root = await makeProject(join(folder, 'failover'), { gaps })
    const env = {
      ...log.env('failover'),
      MILLRACE_LOG_PARTITIONS: String(partitions),
      MILLRACE_LOG_KAFKA_SESSION_TIMEOUT_MS: String(sessionMs),
      // One that comes back gets its partitions when it has copied them.
      MILLRACE_LOG_KAFKA_PROBING_INTERVAL_MS: '500',
      MILLRACE_LOGGING_FORMAT: 'json',
    }
    const start = (name: string) =>
      startHostProcess({ root, data: join(folder, `failover-${name}`), env })
    await using one = await start('one')
    await one.ready()
    const load = emitToAll(one.url)
    /** After the kill. */
    const samples: number[][] = []
    for (let run = 0; run < runs; run += 1) {
      say(`failover: run ${run + 1} of ${runs}`)
      const times: number[] = []
      for (let round = 0; round < rounds; round += 1) {
        const two = await start('two')
        while (!(await isCopied([one, two]))) await pause(lookMs)
        const shown = await partitionsOf(two)
        const taken = shown.flatMap(({ partition, state }) =>
          state === 'running' ? partition : [],
        )
        const killedAt = Date.now()
        await two.kill()
        const over = () => longestGaps([one], killedAt).filter((gap) => isOf(taken, gap))
        while (over().length < taken.length) await pause(lookMs)
        times.push(...over().map(({ at }) => at - killedAt))
      }
      samples.push(times.map((ms) => ms - sessionMs))
    }
    await load.end()
    const shares = { p50: 0.5, longest: 1 }
    return Object.entries(shares).map(([name, share]) => ({
      name: `failover to a standby, beyond a session time-out of ${sessionMs} ms, ${name}`,
      unit: 'ms',
      samples: samples.map((times) => percentile(times, share)),
      target: { atMost: targetMs },
    }))
  },
}
