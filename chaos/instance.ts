// One of several hosts with its supervisor: its functions, its data, its way to the broker, and what befalls it.
import { createWriteStream, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { type HostProcess, startHostProcess } from '#bench/host-process.js'
import { cutManifest, flipBytes } from '../test/support/damage.js'
import type { Proxy as Way } from '../test/support/kafka/proxy.js'
import type { SmallDisk } from '../test/support/small-disk.js'
import { until } from '../test/support/until.js'
import { type Answer, ask, nobody } from './client.js'
import type { Link } from './network.js'
import type { InstanceName } from './schedule.js'

export interface InstanceOptions {
  readonly name: InstanceName
  /** Has a folder for each instance, and the logs. */
  readonly folder: string
  readonly env: Readonly<Record<string, string>>
  readonly way: Way
  readonly disk?: SmallDisk | undefined
  /** Of its network namespace; undefined: it is where all others are. */
  readonly link?: Link | undefined
  /** That its clients need, if any. */
  readonly token?: string | undefined
  /** Of what must not be, whatever happens. */
  readonly wrong: (what: string) => void
}

interface Listening {
  readonly url: string
  readonly pid: number
}

export class Instance {
  readonly name: InstanceName
  readonly way: Way
  readonly disk: SmallDisk | undefined
  readonly link: Link | undefined
  readonly #options: InstanceOptions
  readonly #functions: string
  readonly #data: string
  readonly #log: ReturnType<typeof createWriteStream>
  #process: HostProcess | undefined
  /** The newest start, also while it goes on. */
  #starting: Promise<HostProcess> | undefined
  #hasEnded = false
  #listening: readonly Listening[] = []
  #mayDie = false

  constructor(options: InstanceOptions) {
    this.#options = options
    this.name = options.name
    this.way = options.way
    this.disk = options.disk
    this.link = options.link
    const root = join(options.folder, options.name)
    this.#functions = join(root, 'functions')
    this.#data = join(options.disk?.path ?? root, 'data')
    mkdirSync(this.#functions, { recursive: true })
    mkdirSync(join(options.folder, 'logs'), { recursive: true })
    this.#log = createWriteStream(join(options.folder, 'logs', `${this.name}.log`))
  }

  /** Where it answers, or would if it were not dead for a moment; undefined: nobody is meant to be there. */
  get url(): string | undefined {
    return this.#process === undefined ? undefined : this.#listening.at(-1)?.url
  }

  /** As a client does it. */
  async ask(path: string, init: RequestInit = {}): Promise<Answer> {
    const { url } = this
    if (url === undefined) return nobody
    const { token } = this.#options
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    return await ask(url + path, { ...init, headers })
  }

  save(name: string, source: string): void {
    writeFileSync(join(this.#functions, `${name}.ts`), source)
  }

  async start(): Promise<void> {
    if (this.#process !== undefined || this.#hasEnded) return
    this.note('started')
    const before = this.#listening.length
    this.#starting = startHostProcess({
      command: 'dev',
      root: join(this.#functions, '..'),
      data: this.#data,
      isSupervised: true,
      env: this.#options.env,
      within: this.link?.within ?? [],
      onLine: (line) => this.#read(line),
    })
    this.#process = await this.#starting
    await until(`${this.name} listens`, () => this.#listening.length > before)
  }

  /** As an operator does it. */
  async stop(): Promise<void> {
    const running = this.#process
    if (running === undefined) return
    this.note('SIGTERM')
    const began = performance.now()
    await running[Symbol.asyncDispose]()
    const { code, signal } = await running.gone
    this.#process = undefined
    if (code === 0) return
    const tookMs = Math.round(performance.now() - began)
    this.#wrong(`was stopped, and ended with ${signal ?? `code ${code}`} after ${tookMs} ms`)
  }

  /** The host alone, which its supervisor replaces. */
  async killHost(): Promise<void> {
    const { length } = this.#listening
    this.note('kill -9 of the host')
    this.#mayDie = true
    this.#signal('SIGKILL')
    await until(`${this.name} has another host`, () => this.#listening.length > length)
    this.#mayDie = false
  }

  /** Resolves when the host has ended by itself, too. */
  async killSupervisor(): Promise<void> {
    this.note('kill -9 of the supervisor')
    const pid = this.#pid
    await this.#process?.kill()
    await until(`the host of ${this.name} ends without its supervisor`, () => !isAlive(pid))
    this.#process = undefined
  }

  async killBoth(): Promise<void> {
    this.note('kill -9 of both')
    const pid = this.#pid
    await this.#process?.kill()
    if (isAlive(pid)) this.#signal('SIGKILL')
    await until(`the host of ${this.name} is dead`, () => !isAlive(pid))
    this.#process = undefined
  }

  async freeze(forMs: number): Promise<void> {
    this.note('SIGSTOP')
    this.#signal('SIGSTOP')
    await pause(forMs)
    this.#signal('SIGCONT')
    this.note('SIGCONT')
  }

  /** From brokers, other instances and clients alike. Where there are no links nobody asks for it. */
  async unplug(forMs: number): Promise<void> {
    this.note('unplugged')
    this.link?.unplug()
    await pause(forMs)
    this.link?.plug()
    this.note('plugged in')
  }

  /** While it is down. */
  loseTables(): void {
    this.note('its tables are deleted')
    rmSync(this.#tables, { recursive: true, force: true })
  }

  /** While it is down. `place`: of the bytes. */
  damageTables(how: 'bytes' | 'manifest', place: number): void {
    this.note(`its tables are damaged: ${how}`)
    for (const name of readdirSync(this.#tables)) {
      // Set aside earlier: nobody reads it any more.
      if (name.includes('.damaged-')) continue
      const table = join(this.#tables, name)
      if (how === 'manifest') cutManifest(table)
      else flipBytes(table, place)
    }
  }

  /** In its own log. */
  note(what: string): void {
    this.#log.write(`--- ${new Date().toISOString()} ${what}\n`)
  }

  /** However it ends, also in the middle of its start; nothing is judged any more. */
  async end(): Promise<void> {
    this.#mayDie = true
    this.#hasEnded = true
    // It says itself why it could not start.
    await this.#starting?.catch(() => {})
    if (this.#process !== undefined) await this.killBoth()
    this.#log.end()
  }

  get #tables(): string {
    return join(this.#data, 'tables')
  }

  get #pid(): number {
    const pid = this.#listening.at(-1)?.pid
    if (pid === undefined) throw new Error(`${this.name} has not listened yet`)
    return pid
  }

  #signal(name: NodeJS.Signals): void {
    process.kill(this.#pid, name)
  }

  #wrong(what: string): void {
    this.note(`WRONG: ${what}`)
    this.#options.wrong(`${this.name} ${what}`)
  }

  #read(line: string): void {
    this.#log.write(`${line}\n`)
    if (!line.startsWith('{')) return
    const { msg, url, pid } = JSON.parse(line) as Record<string, unknown>
    const text = String(msg)
    if (text === 'listening')
      this.#listening = [...this.#listening, { url: String(url), pid: Number(pid) }]
    if (text.startsWith('the host died') && !this.#mayDie) this.#wrong(`died by itself: ${text}`)
    if (text.startsWith('the host cannot go on')) this.#wrong(`gave up: ${text}`)
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
