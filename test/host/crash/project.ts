// A project whose host lives and dies: its functions, its data, the points at which it dies, and the account of it all.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import { type HostProcess, startHostProcess } from '#bench/host-process.js'
import { Random } from '#host/log/memory/random.js'
import { openLevelStore } from '#host/tables/level.js'
import { Choice } from '../../support/choice.js'
import {
  type Armed,
  armedFile,
  failpointsVariable,
  passedFile,
} from '../../support/crash/failpoints.js'
import { testFolder } from '../../support/folder.js'
import { until } from '../../support/until.js'
import { Account, type Tables } from './account.js'
import { type FunctionName, names, outputs, repeated, sources, tables } from './functions.js'
import { Load } from './load.js'
import { keptIn, type OtherStore } from './other-stores.js'
import { type ProjectLog, readOutputs, streamBytes } from './project-log.js'

const main = join(process.cwd(), 'dist/test/support/crash/host.js')
const partitions = 3
export const allPartitions = names.length * partitions
/** Of views: each host has all of them. */
export const viewPartitions = partitions

export interface ProjectOptions {
  /** What is not fenced may come late. */
  readonly hasZombies?: boolean
  /** Where functions keep their tables, if not as they do by themselves. */
  readonly stores?: Readonly<Partial<Record<FunctionName, OtherStore>>>
}

export class Project {
  readonly account = new Account()
  readonly random: Choice
  readonly #root: string
  readonly #log: ProjectLog
  readonly #hasNoZombies: boolean
  readonly #stores: NonNullable<ProjectOptions['stores']>
  #loads = 0
  #editions = 0
  readonly #hosts = new Set<HostProcess>()

  /** The seed is printed, and may be given by MILLRACE_TEST_SEED. */
  constructor(t: Test, log: ProjectLog, { hasZombies = false, stores = {} }: ProjectOptions = {}) {
    this.#log = log
    this.#hasNoZombies = !hasZombies
    this.#stores = stores
    const seed = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 1_000_000)
    t.comment(`MILLRACE_TEST_SEED=${seed}`)
    this.random = new Choice(seed)
    this.#root = testFolder(t, { functions: {}, points: {} })
    for (const name of names) this.save(name)
    t.teardown(() => Promise.all([...this.#hosts].map((host) => host.kill())))
  }

  /** Another version, that does the same. */
  save(name: FunctionName): void {
    this.#write(name, keptIn(this.#stores[name], sources[name](this.#edition())))
  }

  /** Another version of `slow`, that reads a stream that none has read before. */
  rewire(): void {
    const edition = this.#edition()
    this.#write('slow', sources.slow(edition, `more-${edition}`))
  }

  arm(armed: Armed): void {
    const file = join(this.#root, 'points', armedFile)
    writeFileSync(`${file}.new`, JSON.stringify(armed))
    renameSync(`${file}.new`, file)
  }

  get isArmed(): boolean {
    return existsSync(join(this.#root, 'points', armedFile))
  }

  disarm(): void {
    rmSync(join(this.#root, 'points', armedFile), { force: true })
  }

  /** All points that any host of this project has passed. */
  passed(): ReadonlySet<string> {
    return new Set(
      readFileSync(join(this.#root, 'points', passedFile), 'utf8')
        .trim()
        .split('\n'),
    )
  }

  /** `data`: the folder of one of several hosts. */
  async start(data = 'data'): Promise<HostProcess> {
    const host = await startHostProcess({
      command: 'dev',
      root: this.#root,
      data: join(this.#root, data),
      main,
      env: {
        [failpointsVariable]: join(this.#root, 'points'),
        MILLRACE_LOG_PARTITIONS: String(partitions),
        ...this.#log.env,
        // A variable of the host's name that it does not know is refused.
        MILLRACE_TEST_SEED: undefined,
      },
    })
    this.#hosts.add(host)
    void host.gone.then(() => this.#hosts.delete(host))
    return host
  }

  load(host: HostProcess): Load {
    const { account, random } = this
    this.#loads += 1
    const own = new Random(random.upTo(1 << 30))
    return new Load({ url: host.url, account, random: own, name: `b${this.#loads}` })
  }

  /** The last look, when nothing is posted any more: at every table, and then, without a host, at every output. */
  async end(t: Test, last?: HostProcess): Promise<void> {
    const host = last ?? (await this.start())
    t.same(await this.differences(host), [], 'every table is what follows from the account')
    await host[Symbol.asyncDispose]()
    t.same(await this.outputDifferences(), [], 'and so is every output')
  }

  /** Waits until all that was ever posted is handled, and compares every table with the account. Nothing may be posted meanwhile. */
  async differences(host: HostProcess): Promise<string[]> {
    const settled = () => isSettled(host)
    // What a function before it had emitted is in the second look.
    await until('all functions have settled', async () => (await settled()) && (await settled()))
    const rows = tables.map(async (table) => [table, await list(host, table)] as const)
    const found = Object.fromEntries(await Promise.all(rows)) as unknown as Tables
    return this.account.differences(found).slice(0, 20)
  }

  /** Compares the outputs in the log, record by record, with the account. After `differences`, and only while no host lives. */
  async outputDifferences(): Promise<string[]> {
    await using log = await this.#log.open(join(this.#root, 'data'))
    const found = await readOutputs(this.#log, log, outputs)
    const [announced] = await readOutputs(this.#log, log, [repeated])
    if (announced === undefined) throw new Error(`${repeated} was not read`)
    return [
      ...this.account.outputDifferences(found),
      ...this.account.repeatedDifferences(announced, { inOrder: this.#hasNoZombies }),
    ].slice(0, 20)
  }

  /** More than the log may keep, after a few of them. */
  async noise({ url }: HostProcess): Promise<void> {
    const body = JSON.stringify('x'.repeat(streamBytes / 4))
    await fetch(`${url}/emitters/noise/n`, { method: 'POST', body })
  }

  /** Ends the function's thread and starts another. */
  async restart({ url }: HostProcess, name: FunctionName): Promise<void> {
    const { status } = await fetch(`${url}/functions/${name}/restart`, { method: 'POST' })
    if (status !== 200) throw new Error(`${name} does not restart: ${status}`)
  }

  /** Resolves when the function has gone on with its records since the call, and then a little. Rejects when its host has died. */
  async handling(host: HostProcess, name: FunctionName): Promise<void> {
    const records = async () => {
      const found = (await status(host)).find((one) => one.name === name)
      return found?.state === 'running' ? found.records : undefined
    }
    await pause(200)
    const before = await until(`${name} runs`, records)
    await until(`${name} goes on`, async () => ((await records()) ?? 0) > before)
    await pause(this.random.upTo(100))
  }

  /** How many partitions of all functions it has open. */
  async openPartitions(host: HostProcess): Promise<number> {
    const found = (await status(host)).flatMap(({ partitions }) => partitions)
    return found.filter(({ state }) => state === 'running').length
  }

  async isRunning(host: HostProcess, name: FunctionName): Promise<boolean> {
    return (await status(host)).some((found) => found.name === name && found.state === 'running')
  }

  /** Only while no host lives. */
  copyStore(name: FunctionName): void {
    copyFolder(this.#store(name), this.#copy(name))
  }

  /** An older store comes back, if there is one. Only while no host lives. */
  ageStore(name: FunctionName): void {
    if (!existsSync(this.#copy(name))) return
    this.dropStore(name)
    copyFolder(this.#copy(name), this.#store(name))
  }

  dropStore(name: FunctionName): void {
    rmSync(this.#store(name), { recursive: true, force: true })
  }

  /** As if a host of another layout had written it: it has to be wiped, with all that it holds. */
  async spoilStore(name: FunctionName): Promise<void> {
    await using store = await openLevelStore({ path: this.#store(name) })
    for (let number = 0; number < partitions; number += 1) {
      const partition = store.partition(number)
      const meta = partition.meta()
      if (meta !== undefined) await partition.write([], { ...meta, layout: meta.layout - 1 })
    }
  }

  #write(name: FunctionName, source: string): void {
    writeFileSync(join(this.#root, 'functions', `${name}.ts`), source)
  }

  #edition(): number {
    this.#editions += 1
    return this.#editions
  }

  #store(name: FunctionName): string {
    return join(this.#root, 'data', 'tables', this.#log.namespace + name)
  }

  #copy(name: FunctionName): string {
    return join(this.#root, 'older', name)
  }
}

async function status({ url }: HostProcess) {
  const { functions } = (await (await fetch(`${url}/functions`)).json()) as {
    functions: {
      name: string
      state: string
      lag: number | null
      records: number
      error: { code: string } | null
      partitions: { state: string }[]
    }[]
  }
  return functions
}

async function isSettled(host: HostProcess): Promise<boolean> {
  // Asked without a pause it would cost the host more than its start.
  await pause(50)
  const functions = await status(host)
  return (
    functions.length === names.length &&
    functions.every(
      ({ state, lag, error, partitions: own }) =>
        state === 'running' &&
        own.length === partitions &&
        lag === 0 &&
        error?.code !== 'BROKER_UNAVAILABLE',
    )
  )
}

async function list({ url }: HostProcess, table: string): Promise<Map<string, unknown>> {
  const response = await fetch(`${url}/views/${table}`, {
    headers: { accept: 'application/x-ndjson' },
  })
  const text = await response.text()
  if (response.status !== 200) throw new Error(`${table}: ${response.status} ${text}`)
  const lines = text.split('\n').filter((line) => line !== '')
  return new Map(lines.map((line) => JSON.parse(line)).map(({ key, value }) => [key, value]))
}

function copyFolder(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true })
  mkdirSync(to, { recursive: true })
  for (const name of readdirSync(from)) copyFileSync(join(from, name), join(to, name))
}
