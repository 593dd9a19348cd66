// From the kill -9 of a host under a supervisor to the one after it, with all that it had acknowledged.
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Client } from './client.js'
import { type Figure, percentile } from './figure.js'
import { startHostProcess } from './host-process.js'
import type { BenchLog } from './log.js'
import { countFunction, makeProject } from './project.js'

const [kills, keys] = [5, 1000]

export const restart: Figure = {
  name: 'restart',
  async measure({ log, runs, folder, say }) {
    const root = await makeProject(join(folder, 'restart'), { 'click-count': countFunction() })
    const samples: number[][] = []
    for (let run = 0; run < runs; run += 1) {
      say(`restart: run ${run + 1} of ${runs}`)
      const times: number[] = []
      // A supervisor for each: the second host that dies soon is not started at once.
      for (let kill = 0; kill < kills; kill += 1) {
        times.push(await restartAfterKill(root, folder, log, `restart-${run}-${kill}`))
      }
      samples.push(times)
    }
    return [
      {
        name: 'kill -9 to ready again, by the supervisor, p50',
        unit: 's',
        samples: samples.map((times) => percentile(times, 0.5)),
      },
      {
        name: 'kill -9 to ready again, by the supervisor, longest',
        unit: 's',
        samples: samples.map((times) => Math.max(...times)),
      },
    ]
  },
}

async function restartAfterKill(
  root: string,
  folder: string,
  log: BenchLog,
  name: string,
): Promise<number> {
  const data = join(folder, name)
  const env = log.env(name)
  await using supervisor = await startHostProcess({ root, data, isSupervised: true, env })
  await supervisor.ready()
  using client = new Client(supervisor.url)
  const lines = Array.from({ length: keys }, (_, n) => `{"key":"user-${n}","value":{"page":"/"}}`)
  await client.reflects('click-count', (await client.emitLines('clicks', lines)).at(-1))
  const host = await log.owner(data)
  const killedAt = performance.now()
  process.kill(host, 'SIGKILL')
  const isReady = async () => (await fetch(`${supervisor.url}/readyz`)).ok
  // Nobody listens, or it recovers.
  while (!(await isReady().catch(() => false))) await pause(5)
  const took = (performance.now() - killedAt) / 1000
  using again = new Client(supervisor.url)
  const counted = await again.table<{ count: number }>('click-count')
  if (counted.size !== keys || [...counted.values()].some(({ count }) => count !== 1)) {
    throw new Error('what was acknowledged is not what the next host has')
  }
  return took
}
