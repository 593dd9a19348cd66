// From the save of a function's file to the first record that the new code has handled.
import { join } from 'node:path'
import { Client } from './client.js'
import { type Figure, percentile } from './figure.js'
import { startHostProcess } from './host-process.js'
import { countFunction, makeProject, saveFunction } from './project.js'

const saves = 25

export const swap: Figure = {
  name: 'swap',
  async measure({ log, runs, folder, say }) {
    const text = (version: number) => countFunction({ extra: `, version: ${version}` })
    const root = await makeProject(join(folder, 'swap'), { 'click-count': text(0) })
    const data = join(folder, 'swap-data')
    await using host = await startHostProcess({ command: 'dev', root, data, env: log.env('swap') })
    await host.ready()
    using client = new Client(host.url)
    /** Which version has handled a record that is emitted now. */
    const running = async (): Promise<number> => {
      const token = await client.emit('clicks', 'alice', { page: '/home' })
      const path = `/views/click-count/alice?after=${encodeURIComponent(token)}`
      return (await client.ask<{ version: number }>('GET', path)).version
    }
    let version = 0
    const saveAndWait = async (): Promise<number> => {
      version += 1
      const savedAt = performance.now()
      await saveFunction(root, 'click-count', text(version))
      while ((await running()) !== version) {
        if (performance.now() - savedAt > 10_000) throw new Error('a save was never taken up')
      }
      return performance.now() - savedAt
    }
    await running()
    await saveAndWait()
    const samples: number[][] = []
    for (let run = 0; run < runs; run += 1) {
      say(`swap: run ${run + 1} of ${runs}`)
      const times: number[] = []
      for (let n = 0; n < saves; n += 1) times.push(await saveAndWait())
      samples.push(times)
    }
    return [0.5, 0.99].map((share) => ({
      name: `save → new code has handled a record, p${share * 100}`,
      unit: 'ms',
      samples: samples.map((times) => percentile(times, share)),
    }))
  },
}
