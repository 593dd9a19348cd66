// The real host as a child process, as a user starts it: by the command line, spoken to over HTTP.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { steadyMalloc } from '../host/supervisor/malloc.js'

const commandLine = fileURLToPath(new URL('../host/main.js', import.meta.url))

export interface HostProcessOptions {
  /** `dev` watches the functions. */
  readonly command?: 'start' | 'dev'
  readonly root: string
  readonly data: string
  /** The module that is run. Default: the command line. */
  readonly main?: string
  /** With the supervisor, of which `pid` is then. Default: without. */
  readonly isSupervised?: boolean
  /** Beside those of this process; undefined: not even that of this process. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** A program, with its arguments, that becomes the host: such as `nsenter`. */
  readonly within?: readonly string[]
  /** Of each line that it prints. */
  readonly onLine?: (line: string) => void
}

export interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** Disposing stops it as an operator would, and waits for its end. */
export interface HostProcess extends AsyncDisposable {
  readonly url: string
  readonly pid: number
  /** Times of `performance.now()`. */
  readonly spawnedAt: number
  readonly listeningAt: number
  /** Resolves when it has ended, however. */
  readonly gone: Promise<Ending>
  /** The last lines of its output. */
  readonly said: readonly string[]
  /** Resolves when every function has recovered its table. */
  ready(): Promise<void>
  /** `kill -9` of the host and of all that it started; resolves when it is gone. */
  kill(): Promise<void>
}

export async function startHostProcess(options: HostProcessOptions): Promise<HostProcess> {
  const { command = 'start', root, data, main = commandLine, isSupervised = false, env } = options
  const { within = [] } = options
  const [program = process.execPath, ...before] = [...within, process.execPath]
  const spawnedAt = performance.now()
  const host = spawn(
    program,
    // One process, as a supervisor would start it: its id is that of the one that owns the data, and no second one takes up memory.
    [
      ...before,
      main,
      command,
      '--root',
      root,
      '--data',
      data,
      '--port',
      '0',
      ...(isSupervised ? [] : ['--no-supervisor']),
    ],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: steadyMalloc({ ...process.env, ...env }),
    },
  )
  const { pid } = host
  if (pid === undefined) throw new Error(`${program} could not be started`)
  const gone = new Promise<Ending>((resolve) => {
    host.once('exit', (code, signal) => resolve({ code, signal }))
  })
  // Kept for the message of a host that fails; read always, so that it is never blocked by a full pipe.
  const said: string[] = []
  const address = (env?.MILLRACE_HTTP_HOST ?? '127.0.0.1').replaceAll('.', '\\.')
  const listening = new RegExp(`http://${address}:[1-9]\\d*`)
  const url = await new Promise<string>((resolve, reject) => {
    const read = (line: string) => {
      if (said.push(line) > 1000) said.shift()
      options.onLine?.(line)
      const [found] = listening.exec(line) ?? []
      if (found !== undefined) resolve(found)
    }
    createInterface({ input: host.stdout }).on('line', read)
    createInterface({ input: host.stderr }).on('line', read)
    void gone.then(({ code }) =>
      reject(
        new Error(
          `the host ended with code ${code} before it listened:\n${said.slice(-100).join('\n')}`,
        ),
      ),
    )
  })
  const signal = async (name: NodeJS.Signals) => {
    // It leads a process group of its own; a negative id means all of the group.
    if (host.exitCode === null && host.signalCode === null) process.kill(-pid, name)
    await gone
  }
  return {
    url,
    pid,
    spawnedAt,
    listeningAt: performance.now(),
    gone,
    said,
    async ready() {
      while (!(await fetch(`${url}/readyz`)).ok) await pause(5)
    },
    kill: () => signal('SIGKILL'),
    [Symbol.asyncDispose]: () => signal('SIGTERM'),
  }
}
