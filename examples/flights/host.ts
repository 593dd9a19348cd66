// A host of its own for the example: a child process on a temporary data folder that goes with it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../../host/main.js', import.meta.url))
const root = fileURLToPath(new URL('../../../examples/flights', import.meta.url))

export interface ExampleHost extends AsyncDisposable {
  readonly url: string
}

export interface ExampleOptions {
  /** As the flag `--log` has it. Default: the log in the data folder. */
  readonly log?: string
  /** In front of the names of its topics. */
  readonly namespace?: string
}

export async function startHost({ log, namespace }: ExampleOptions = {}): Promise<ExampleHost> {
  const data = await mkdtemp(join(tmpdir(), 'millrace-flights-'))
  const args = [main, 'start', '--root', root, '--data', data, '--port', '0']
  if (log !== undefined) args.push('--log', log)
  const host = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...(namespace === undefined ? {} : { MILLRACE_NAMESPACE: namespace }) },
    // In a process group of its own: on Ctrl-C the example stops it, once, and then tidies up.
    detached: true,
  })
  const gone = once(host, 'exit')
  const stop = async () => {
    host.kill('SIGTERM')
    await gone
    await rm(data, { recursive: true, force: true })
  }
  const listening = new Promise<string>((resolve) => {
    createInterface({ input: host.stdout }).on('line', (line) => {
      const url = listeningUrl(line)
      if (url !== undefined) resolve(url)
    })
  })
  try {
    const died = gone.then(([code]) => {
      throw new Error(`the host ended with code ${code} before it listened`)
    })
    const url = await Promise.race([listening, died])
    return { url, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** The host says in one JSON line where it listens. */
function listeningUrl(line: string): string | undefined {
  if (!line.startsWith('{')) return undefined
  const entry: { msg?: string; url?: string } = JSON.parse(line)
  return entry.msg === 'listening' ? entry.url : undefined
}
