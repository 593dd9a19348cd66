// Reads of single keys of a view over HTTP, in turns with a server that has nothing to look up.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Client } from './client.js'
import type { Figure } from './figure.js'
import { startHostProcess } from './host-process.js'
import { loadWith } from './load.js'
import { residentMb } from './memory.js'
import { countFunction, makeProject } from './project.js'

const [keys, connections, durationMs, warmUpMs] = [10_000, 32, 4000, 2000]

export const reads: Figure = {
  name: 'reads',
  async measure({ log, runs, folder, say }) {
    const root = await makeProject(join(folder, 'reads'), { 'click-count': countFunction() })
    await using host = await startHostProcess({
      root,
      data: join(folder, 'reads-data'),
      env: log.env('reads'),
    })
    await host.ready()
    await using peer = await startPlainServer()
    const idleMb = await residentMb(host.pid)
    await fill(host.url)
    // In no order, so that the reads do not follow each other through one block of the store.
    const paths = Array.from(
      { length: keys },
      (_, n) => `/views/click-count/user-${(n * 7919) % keys}`,
    )
    const measure = (url: string, durationMs: number) =>
      loadWith({ url, paths, connections, durationMs })
    await measure(host.url, warmUpMs)
    await measure(peer.url, warmUpMs)
    const [own, plain]: [number[], number[]] = [[], []]
    for (let run = 0; run < runs; run += 1) {
      say(`reads: run ${run + 1} of ${runs}`)
      own.push(await measure(host.url, durationMs))
      plain.push(await measure(peer.url, durationMs))
    }
    return [
      {
        name: `view reads over HTTP, ${connections} connections`,
        unit: 'reads/s',
        samples: own,
        peer: { name: 'Hono, a constant text', samples: plain },
      },
      { name: 'memory of an idle host, one function', unit: 'MB', samples: [idleMb] },
    ]
  },
}

async function fill(url: string): Promise<void> {
  using client = new Client(url)
  const lines = Array.from({ length: keys }, (_, n) => {
    return JSON.stringify({ key: `user-${n}`, value: { page: '/home' } })
  })
  const tokens = await client.emitLines('clicks', lines)
  await client.reflects('click-count', tokens.at(-1))
}

async function startPlainServer(): Promise<AsyncDisposable & { url: string }> {
  const file = fileURLToPath(new URL('./plain-server.js', import.meta.url))
  const server = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [url]: unknown[] = await once(createInterface({ input: server.stdout }), 'line')
  return {
    url: String(url),
    async [Symbol.asyncDispose]() {
      const gone = once(server, 'exit')
      server.kill()
      await gone
    },
  }
}
