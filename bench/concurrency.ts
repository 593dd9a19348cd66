// A handler that awaits 20 ms, as one that asks another service does: one key at a time, and 64 of a partition at once.
import { join } from 'node:path'
import { Client } from './client.js'
import type { Figure } from './figure.js'
import { startHostProcess } from './host-process.js'
import { makeProject } from './project.js'

const awaitMs = 20
const concurrency = 64
const partitions = 4
/** How long one run of either takes at best. */
const seconds = 2

const askFunction = (concurrency: number): string => `
import { defineProcessor, json } from 'millrace'

export default defineProcessor({
  inputs: { questions: json<number>() },
  table: json<number>(),
  concurrency: ${concurrency},
  on: {
    async questions(ctx, value) {
      await new Promise((resolve) => setTimeout(resolve, ${awaitMs}))
      ctx.set((ctx.get() ?? 0) + value)
    },
  },
})
`

export const concurrent: Figure = {
  name: 'concurrency',
  async measure({ log, runs, folder, say }) {
    const rates = new Map<number, number[]>([[1, []], [concurrency, []]]) // biome-ignore format: a table
    for (let run = 0; run < runs; run += 1) {
      for (const [n, samples] of rates) {
        say(`concurrency: run ${run + 1} of ${runs}, ${n} at once`)
        const count = (seconds * 1000 * partitions * n) / awaitMs
        const name = `concurrency-${n}-${run}`
        samples.push(await rate(join(folder, name), log.env(name), n, count))
      }
    }
    const [one = [], many = []] = [...rates.values()]
    return [
      {
        name: `a handler that awaits ${awaitMs} ms, concurrency ${concurrency}`,
        unit: 'records/s',
        samples: many,
        peer: { name: 'the same, concurrency 1', samples: one },
      },
    ]
  },
}

async function rate(
  folder: string,
  env: Readonly<Record<string, string>>,
  concurrency: number,
  count: number,
): Promise<number> {
  const root = await makeProject(folder, { ask: askFunction(concurrency) })
  await using host = await startHostProcess({ root, data: join(folder, 'data'), env })
  await host.ready()
  using client = new Client(host.url)
  // Many more keys than are handled at once: each key is one after another in any case.
  const keys = 4_096
  const lines = Array.from({ length: count }, (_, n) => `{"key":"k${n % keys}","value":1}`)
  const began = performance.now()
  const tokens = await client.emitLines('questions', lines)
  await client.reflects('ask', tokens.at(-1))
  const took = performance.now() - began
  const table = await client.table<number>('ask')
  const sum = [...table.values()].reduce((total, value) => total + value, 0)
  if (sum !== count) throw new Error(`${sum} records were counted, not ${count}`)
  return (count * 1000) / took
}
