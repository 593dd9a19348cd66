// Emits of many lines over HTTP, each request all or nothing, in turns with kafkajs' producer on the same broker.
import { join } from 'node:path'
import { Client } from './client.js'
import { chunks, makeEvents } from './events.js'
import type { Figure } from './figure.js'
import { startHostProcess } from './host-process.js'
import { produceRate } from './kafkajs.js'
import { feederFunction, makeProject } from './project.js'

const perCall = 5000

export const emits: Figure = {
  name: 'emits',
  async measure({ log, events, runs, folder, say }) {
    // Nobody reads what is emitted: it is the emitters that are measured.
    const root = await makeProject(join(folder, 'emits'), { feeder: feederFunction })
    await using host = await startHostProcess({
      root,
      data: join(folder, 'emits-data'),
      env: log.env('emits'),
    })
    await host.ready()
    using client = new Client(host.url)
    const lines = () =>
      [...makeEvents(events, 1000)].map(({ key, value }) => `{"key":"${key}","value":${value}}`)
    const own: number[] = []
    const raw: number[] = []
    for (let run = 0; run < runs; run += 1) {
      say(`emits: run ${run + 1} of ${runs}`)
      const all = lines()
      const began = performance.now()
      await client.emitLines('clicks', all)
      own.push((events * 1000) / (performance.now() - began))
      if (log.brokers === undefined) continue
      const topic = `${log.namespace('emits')}clicks`
      raw.push(await produceRate(log.brokers, topic, chunks(makeEvents(events, 1000), perCall)))
    }
    return [
      {
        name: 'events emitted over HTTP as NDJSON',
        unit: 'events/s',
        samples: own,
        ...(raw.length === 0
          ? {}
          : { peer: { name: `kafkajs: produced, ${perCall} a call`, samples: raw } }),
      },
    ]
  },
}
