// The process of a broker: formatted once, started, killed and started again on the same folder and ports.
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { Kafka, logLevel } from 'kafkajs'
import { classesOf, type Java, runJava } from './java.js'
import { freePort, isFree } from './ports.js'
import { type Listeners, logProperties, serverProperties, type Voters } from './properties.js'

export interface ServerOptions {
  /** Of the listener PLAINTEXT. 0, the default: any free one. */
  readonly port?: number
  /** Beside PLAINTEXT, which tests and tools use. */
  readonly listeners?: Listeners
  /** Further lines of server.properties; they win. */
  readonly properties?: Readonly<Record<string, string>>
  /** Further arguments of the formatting of the folder, such as `--add-scram`. */
  readonly format?: readonly string[]
  readonly heapMb?: number
  /** Of the Java machine. */
  readonly options?: readonly string[]
  /** Where it is one of several. */
  readonly among?: Among
}

export interface Among {
  readonly node: number
  readonly voters: Voters
  /** The same for all. */
  readonly cluster: string
}

/** One in 64 begins with a dash. */
export const newCluster = (): string => randomBytes(16).toString('base64url')

const startLimitMs = 120_000
const stopLimitMs = 30_000
const keptLines = 500

export class Server {
  readonly said: string[] = []
  readonly #java: Java
  readonly #root: string
  readonly #ports: ReadonlyMap<string, number>
  readonly #format: readonly string[]
  readonly #options: readonly string[]
  readonly #among: Among
  #child: { readonly process: ChildProcess; readonly gone: Promise<string> } | undefined
  #isEnding = false

  private constructor(
    java: Java,
    root: string,
    ports: Map<string, number>,
    among: Among,
    options: ServerOptions,
  ) {
    this.#java = java
    this.#root = root
    this.#ports = ports
    this.#format = options.format ?? []
    this.#options = [`-Xmx${options.heapMb ?? 512}m`, ...(options.options ?? [])]
    this.#among = among
  }

  static async inFolder(java: Java, root: string, options: ServerOptions): Promise<Server> {
    const { port = 0, listeners = {}, properties = {} } = options
    if (port !== 0 && !(await isFree(port)))
      throw new Error(`port ${port} is taken; 0 takes any free one`)
    const ports = new Map([['PLAINTEXT', port === 0 ? await freePort() : port]])
    for (const name of Object.keys(listeners)) ports.set(name, await freePort())
    await mkdir(root, { recursive: true })
    const among = options.among ?? {
      node: 1,
      voters: new Map([[1, await freePort()]]),
      cluster: newCluster(),
    }
    const server = new Server(java, root, ports, among, options)
    const text = serverProperties({
      folder: join(root, 'log'),
      node: among.node,
      voters: among.voters,
      ports,
      listeners: { PLAINTEXT: 'PLAINTEXT', ...listeners },
      further: properties,
    })
    await writeFile(server.#properties, text)
    await writeFile(join(root, 'log4j2.properties'), logProperties)
    return server
  }

  get #properties(): string {
    return join(this.#root, 'server.properties')
  }

  get #logging(): string {
    return `-Dlog4j2.configurationFile=${join(this.#root, 'log4j2.properties')}`
  }

  port(listener: string): number {
    const port = this.#ports.get(listener)
    if (port === undefined) throw new TypeError(`the broker has no listener ${listener}`)
    return port
  }

  address(listener: string): string {
    return `127.0.0.1:${this.port(listener)}`
  }

  /** Makes the folder a broker's, unless it is. */
  async format(): Promise<void> {
    if (await isThere(join(this.#root, 'log', 'meta.properties'))) return
    // Joined by `=`, since it may begin with a dash: it is no option of its own.
    const id = `--cluster-id=${this.#among.cluster}`
    const args = ['format', id, '-c', this.#properties, ...this.#format]
    await runJava(this.#java, 'kafka.tools.StorageTool', args, { options: [this.#logging] })
  }

  /** Resolves when it serves; rejects with what it said when it ends before. */
  async start(): Promise<void> {
    const options = [...this.#options, '-Djava.awt.headless=true', this.#logging]
    const { command } = this.#java
    const child = spawn(
      command,
      [...options, ...classesOf(this.#java), 'kafka.Kafka', this.#properties],
      // Leads a process group: a Ctrl-C in the terminal is not for it, it is stopped by who started it.
      { stdio: ['ignore', 'pipe', 'pipe'], detached: true },
    )
    const { pid, stdout, stderr } = child
    if (pid === undefined) throw new Error(`${command} could not be started`)
    const guard = killWithThisProcess(pid)
    const gone = once(child, 'close').then(([code, signal]) => {
      guard.kill('SIGKILL')
      return `Kafka ended with ${code === null ? `signal ${signal}` : `code ${code}`}:\n${this.said.slice(-50).join('\n')}`
    })
    this.#child = { process: child, gone }
    this.#isEnding = false
    const isStarted = new Promise<'started'>((resolve) => {
      const read = (line: string) => {
        if (this.said.push(line) > keptLines) this.said.shift()
        if (line.includes('Kafka Server started')) resolve('started')
      }
      for (const input of [stdout, stderr]) createInterface({ input }).on('line', read)
    })
    const limit = new AbortController()
    const end = await Promise.race([
      isStarted.then(() => this.#serves(limit.signal)),
      gone,
      pause(startLimitMs, `Kafka does not serve after ${startLimitMs} ms`, { ref: false }),
    ])
    limit.abort()
    if (end !== undefined) throw new Error(end)
  }

  /** The started process has told so; here it answers a client, and knows itself as a live broker of the cluster. */
  async #serves(signal: AbortSignal): Promise<undefined> {
    const client = new Kafka({
      brokers: [this.address('PLAINTEXT')],
      logLevel: logLevel.NOTHING,
      retry: { retries: 0 },
    })
    while (!signal.aborted) {
      const admin = client.admin()
      const isThere = await admin
        .connect()
        .then(() => admin.describeCluster())
        .then(({ brokers }) => brokers.some(({ nodeId }) => nodeId === this.#among.node))
        .catch(() => false)
        .finally(() => admin.disconnect())
      if (isThere) return undefined
      await pause(20)
    }
    return undefined
  }

  /** Resolves with the reason when it ends without being asked to. */
  async died(): Promise<string> {
    const reason = (await this.#child?.gone) ?? 'Kafka was not started'
    return this.#isEnding ? new Promise(() => {}) : reason
  }

  kill(): Promise<void> {
    return this.#end('SIGKILL')
  }

  /** An orderly end; one that takes too long is made short. */
  async stop(): Promise<void> {
    const timer = setTimeout(() => void this.#end('SIGKILL'), stopLimitMs)
    await this.#end('SIGTERM')
    clearTimeout(timer)
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    this.#isEnding = true
    this.#child?.process.kill(signal)
    await this.#child?.gone
  }
}

/** A process that outlives this one, however this one ends, for as long as it takes to kill the other. */
function killWithThisProcess(pid: number): ChildProcess {
  const command = ['-c', 'cat >/dev/null; kill -9 "$0" 2>/dev/null', String(pid)]
  // Its input ends with this process.
  const guard = spawn('sh', command, { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
  guard.unref()
  return guard
}

const isThere = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  )
