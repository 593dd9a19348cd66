// From the start of a host to its tables being served: with the store lost, with it kept, and after a kill -9.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from './client.js'
import type { Figure } from './figure.js'
import { startHostProcess } from './host-process.js'
import { countFunction, makeProject } from './project.js'

const page = '{"page":"/home"}'

export const recovery: Figure = {
  name: 'recovery',
  async measure({ log, events, runs, folder, say }) {
    // A key a record: nothing that compaction could leave out, so that the changelog has as many records as there are events.
    const root = await makeProject(join(folder, 'recovery'), { 'click-count': countFunction() })
    const data = join(folder, 'recovery-data')
    const env = log.env('recovery')
    say(`recovery: counting ${events} keys`)
    {
      await using host = await startHostProcess({ root, data, env })
      using client = new Client(host.url)
      const lines = Array.from({ length: events }, (_, n) => `{"key":"user-${n}","value":${page}}`)
      const tokens = await client.emitLines('clicks', lines)
      await client.reflects('click-count', tokens.at(-1))
    }
    const readyAfter = async (before: () => Promise<void>, isKilled = false): Promise<number> => {
      await before()
      const host = await startHostProcess({ root, data, env })
      await host.ready()
      const took = (performance.now() - host.spawnedAt) / 1000
      using client = new Client(host.url)
      for (const n of [0, events >> 1, events - 1]) {
        const { count } = await client.ask<{ count: number }>('GET', `/views/click-count/user-${n}`)
        if (count !== 1) throw new Error(`user-${n} was counted ${count} times after a restart`)
      }
      await (isKilled ? host.kill() : host[Symbol.asyncDispose]())
      return took
    }
    const samples = { lost: [] as number[], kept: [] as number[], killed: [] as number[] }
    const nothing = async () => {}
    for (let run = 0; run < runs; run += 1) {
      say(`recovery: run ${run + 1} of ${runs}`)
      samples.lost.push(
        await readyAfter(() => rm(join(data, 'tables'), { recursive: true, force: true })),
      )
      samples.kept.push(await readyAfter(nothing, true))
      samples.killed.push(await readyAfter(nothing))
    }
    const of = `${events.toLocaleString('en')} changelog records`
    return [
      { name: `start to ready, store lost, ${of}`, unit: 's', samples: samples.lost },
      { name: `start to ready, store kept, ${of}`, unit: 's', samples: samples.kept },
      { name: `start to ready after kill -9, ${of}`, unit: 's', samples: samples.killed },
    ]
  },
}
