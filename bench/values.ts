// Values of 100 B to 1 MB: emitted over HTTP, handled, kept in the table, read back.
import { join } from 'node:path'
import { Client } from './client.js'
import type { Figure, Result } from './figure.js'
import { startHostProcess } from './host-process.js'
import { makeProject } from './project.js'

const sizes = [100, 1_000, 10_000, 100_000, 1_000_000]
/** Of one size, at the most. */
const totalBytes = 100_000_000
const keys = 20

const keepFunction = `
import { bytes, defineProcessor } from 'millrace'

export default defineProcessor({
  inputs: { files: bytes },
  table: bytes,
  on: {
    files(ctx, file) {
      ctx.set(file)
    },
  },
})
`

export const values: Figure = {
  name: 'values',
  async measure({ log, events, runs, folder, say }) {
    const root = await makeProject(join(folder, 'values'), { keep: keepFunction })
    await using host = await startHostProcess({
      root,
      data: join(folder, 'values-data'),
      env: log.env('values'),
    })
    await host.ready()
    using client = new Client(host.url)
    const results: Result[] = []
    for (const size of sizes) {
      const count = Math.max(keys, Math.min(events, Math.floor(totalBytes / size / 10)))
      const samples: number[] = []
      for (let run = 0; run < runs; run += 1) {
        say(`values: ${size} bytes, run ${run + 1} of ${runs}`)
        // Base64 is what bytes are in a line of JSON.
        const value = Buffer.alloc(size, run + 1).toString('base64')
        const lines = Array.from(
          { length: count },
          (_, n) => `{"key":"k${n % keys}","value":"${value}"}`,
        )
        const began = performance.now()
        for (const token of await client.emitLines('files', lines))
          await client.reflects('keep', token)
        samples.push((count * size) / 1000 / (performance.now() - began))
        const { body } = await client.send('GET', '/views/keep/k1')
        if (body.length !== size)
          throw new Error(`a value of ${size} bytes came back with ${body.length}`)
      }
      const name = `emit to view, values of ${size.toLocaleString('en')} bytes`
      results.push({ name, unit: 'MB/s', samples })
    }
    return results
  },
}
