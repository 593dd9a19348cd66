// How long a test waits for its host: in a fresh process, and for each further test.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type Figure, median } from './figure.js'

const processes = 10

/** In ms. */
interface Boot {
  readonly imported: number
  readonly booted: number
  readonly again: number
}

export const testkit: Figure = {
  name: 'testkit',
  isEmbedded: true,
  async measure({ runs, say }) {
    const file = fileURLToPath(new URL('./testkit-process.js', import.meta.url))
    const samples: Boot[] = []
    for (let run = 0; run < runs; run += 1) {
      say(`testkit: run ${run + 1} of ${runs}`)
      const boots: Boot[] = []
      for (let n = 0; n < processes; n += 1) {
        const { stdout } = await promisify(execFile)(process.execPath, [file])
        boots.push(JSON.parse(stdout))
      }
      samples.push({
        imported: median(boots.map(({ imported }) => imported)),
        booted: median(boots.map(({ booted }) => booted)),
        again: median(boots.map(({ again }) => again)),
      })
    }
    const result = (name: string, of: (boot: Boot) => number) => ({
      name: `test kit: ${name}`,
      unit: 'ms',
      samples: samples.map(of),
    })
    return [
      result('import in a fresh process', ({ imported }) => imported),
      result('first boot', ({ booted }) => booted),
      result('boot, emit, settle once more', ({ again }) => again),
    ]
  },
}
