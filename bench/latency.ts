// From an emit to its effect in a view: POST, then GET with its token, one after another on one connection.
import { join } from 'node:path'
import { Client } from './client.js'
import { type Figure, percentile } from './figure.js'
import { startHostProcess } from './host-process.js'
import { countFunction, makeProject } from './project.js'

const [warmUp, measured, keys] = [300, 1000, 50]

export const latency: Figure = {
  name: 'latency',
  async measure({ runs, folder, say }) {
    const root = await makeProject(join(folder, 'latency'), { 'click-count': countFunction() })
    await using host = await startHostProcess({ root, data: join(folder, 'latency-data') })
    await host.ready()
    using client = new Client(host.url)
    const counts = new Map<string, number>()
    const once = async (n: number): Promise<number> => {
      const key = `user-${n % keys}`
      const right = (counts.get(key) ?? 0) + 1
      counts.set(key, right)
      const began = performance.now()
      const token = await client.emit('clicks', key, { page: '/home' })
      const path = `/views/click-count/${key}?after=${encodeURIComponent(token)}`
      const { count } = await client.ask<{ count: number }>('GET', path)
      const took = performance.now() - began
      if (count !== right) throw new Error(`${key} was counted ${count} times, not ${right}`)
      return took
    }
    for (let n = 0; n < warmUp; n += 1) await once(n)
    const samples: number[][] = []
    for (let run = 0; run < runs; run += 1) {
      say(`latency: run ${run + 1} of ${runs}`)
      const times: number[] = []
      for (let n = 0; n < measured; n += 1) times.push(await once(n))
      samples.push(times)
    }
    return [0.5, 0.99].map((share) => ({
      name: `emit → view over HTTP, p${share * 100}`,
      unit: 'ms',
      samples: samples.map((times) => percentile(times, share)),
    }))
  },
}
