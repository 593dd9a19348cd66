// From an emit to its effect in a view: POST, then GET with its token, one after another on one connection; also over a second function.
import { join } from 'node:path'
import { Client } from './client.js'
import { type Figure, percentile, type Result } from './figure.js'
import { startHostProcess } from './host-process.js'
import { countFunction, makeProject } from './project.js'

// A host's code is compiled as it is used: so many requests until they take no less any more.
const [warmUp, measured, keys] = [3000, 1000, 50]

/** Hands each click on, under the same key. */
const forwardFunction = `
import { defineProcessor, json } from 'millrace'

export default defineProcessor({
  inputs: { visits: json<{ page: string }>() },
  table: json<{ pages: number }>(),
  outputs: { clicks: json<{ page: string }>() },
  on: {
    visits(ctx, visit) {
      ctx.set({ pages: (ctx.get()?.pages ?? 0) + 1 })
      ctx.emit('clicks', ctx.key, visit)
    },
  },
})
`

const routes = [
  { stream: 'clicks', hops: '' },
  { stream: 'visits', hops: ', two functions in a chain' },
]

export const latency: Figure = {
  name: 'latency',
  async measure({ log, runs, folder, say }) {
    const root = await makeProject(join(folder, 'latency'), {
      'click-count': countFunction(),
      forward: forwardFunction,
    })
    await using host = await startHostProcess({
      root,
      data: join(folder, 'latency-data'),
      env: log.env('latency'),
    })
    await host.ready()
    using client = new Client(host.url)
    const counts = new Map<string, number>()
    const once = async (stream: string, n: number): Promise<number> => {
      const key = `user-${n % keys}`
      const right = (counts.get(key) ?? 0) + 1
      counts.set(key, right)
      const began = performance.now()
      const token = await client.emit(stream, key, { page: '/home' })
      const path = `/views/click-count/${key}?after=${encodeURIComponent(token)}`
      const { count } = await client.ask<{ count: number }>('GET', path)
      const took = performance.now() - began
      if (count !== right) throw new Error(`${key} was counted ${count} times, not ${right}`)
      return took
    }
    const results: Result[] = []
    for (const { stream, hops } of routes) {
      for (let n = 0; n < warmUp; n += 1) await once(stream, n)
      const samples: number[][] = []
      for (let run = 0; run < runs; run += 1) {
        say(`latency: ${stream}, run ${run + 1} of ${runs}`)
        const times: number[] = []
        for (let n = 0; n < measured; n += 1) times.push(await once(stream, n))
        samples.push(times)
      }
      for (const share of [0.5, 0.99]) {
        results.push({
          name: `emit → view over HTTP${hops}, p${share * 100}`,
          unit: 'ms',
          samples: samples.map((times) => percentile(times, share)),
        })
      }
    }
    return results
  },
}
