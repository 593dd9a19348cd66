// From an emit to its effect in a view, by one function and over a second one.
import { join } from 'node:path'
import { Client } from './client.js'
import { emitToView, measured, warmUp } from './emit-to-view.js'
import { type Figure, percentile, type Result } from './figure.js'
import { startHostProcess } from './host-process.js'
import { countFunction, makeProject } from './project.js'

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
    const timesOf = emitToView(client)
    const results: Result[] = []
    for (const { stream, hops } of routes) {
      await timesOf(stream, warmUp)
      const samples: number[][] = []
      for (let run = 0; run < runs; run += 1) {
        say(`latency: ${stream}, run ${run + 1} of ${runs}`)
        samples.push(await timesOf(stream, measured))
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
