// How long a test waits for its host: in a fresh process, and for each further test.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type Figure, median } from './figure.js'

const processes = 10

export const testkit: Figure = {
  name: 'testkit',
  async measure({ runs, say }) {
    const file = fileURLToPath(new URL('./testkit-process.js', import.meta.url))
    const samples: { cold: number; again: number }[] = []
    for (let run = 0; run < runs; run += 1) {
      say(`testkit: run ${run + 1} of ${runs}`)
      const boots: { cold: number; again: number }[] = []
      for (let n = 0; n < processes; n += 1) {
        const { stdout } = await promisify(execFile)(process.execPath, [file])
        boots.push(JSON.parse(stdout))
      }
      samples.push({
        cold: median(boots.map(({ cold }) => cold)),
        again: median(boots.map(({ again }) => again)),
      })
    }
    return [
      {
        name: 'test kit: import and boot in a fresh process',
        unit: 'ms',
        samples: samples.map(({ cold }) => cold),
      },
      {
        name: 'test kit: boot, emit, settle once more',
        unit: 'ms',
        samples: samples.map(({ again }) => again),
      },
    ]
  },
}
