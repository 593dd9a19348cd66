// All functions of the host: follows the folder of function files, and starts, swaps and stops their cells.
import { mkdir, readdir } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { asHostError, HostError, toPlainError } from '../errors.js'
import type { Log } from '../log/log.js'
import type { Logger } from '../logger.js'
import type { FunctionVitals } from '../supervisor/messages.js'
import type { SampleLimits } from '../tables/sample.js'
import { bundleFunction, functionName, isFunctionFile } from './bundle.js'
import type { FunctionState, ShownError } from './catalog.js'
import { Cell, type CellOptions, describe } from './cell.js'
import type { Bundle, FunctionDescription } from './description.js'
import { showError } from './failure.js'
import type { WorkerSettings } from './messages.js'
import { storePathOf } from './names.js'
import type { Operation, Operator } from './operation.js'
import { PausedFunctions } from './paused.js'
import { type FunctionPorts, levelPorts } from './ports.js'
import { Probe, type StoredValues } from './probe.js'
import { Quarantine, type Supervision } from './quarantine.js'
import { hasSameEdges, prepareTopics } from './topics.js'
import { type FunctionsWatch, watchFunctions } from './watch.js'

export interface RegistryOptions {
  readonly log: Log
  readonly logger: Logger
  /** Of the project: npm packages are found from here. */
  readonly root: string
  /** The folder of function files, absolute. */
  readonly folder: string
  /** The folder in which each function has its store, absolute. */
  readonly tables: string
  readonly supervision: Supervision
  /** The file that says which functions are paused, absolute. */
  readonly paused: string
  readonly namespace: string
  readonly partitions: number
  readonly settings: WorkerSettings
  /** Default: as the host ships. */
  readonly ports?: FunctionPorts | undefined
  readonly drainMs: number
  readonly loadMs: number
  /** Of the stored values that a save has to take. */
  readonly sample: SampleLimits
  readonly instance: string
}

/** What is known of one function name: its file or files, what runs, and what the last save was refused for. */
export interface Entry {
  readonly name: string
  /** More than one: none is taken. */
  files: string[]
  cell: Cell | undefined
  error: ShownError | null
}

/** How long a suspect is left alone with the blame, from when it runs. */
const trialMs = 500
const maxTrialMs = 10_000
const beginning: readonly (FunctionState | undefined)[] = ['loading', 'joining', 'recovering']
const retryMs = 1_000

export class Registry implements AsyncDisposable, Operator {
  readonly #options: RegistryOptions
  readonly #probe: Probe
  readonly #paused: PausedFunctions
  readonly #quarantine: Quarantine
  /** In the probe. */
  readonly #loading = new Map<string, FunctionVitals>()
  readonly #entries = new Map<string, Entry>()
  /** Changes of one name are worked off one after another. */
  readonly #queues = new Map<string, Promise<void>>()
  /** Files that cannot be functions, by path. */
  readonly #misnamed = new Set<string>()
  /** The suspect that has been started last. */
  #tried: string | undefined
  /** Not yet disposed of, whoever has them. */
  readonly #cells = new Set<Cell>()
  /** Why nothing may be started for now; `over` settles when it may. */
  #suspended: { readonly error: HostError; readonly over: Promise<void>; end(): void } | undefined
  readonly #retries = new Map<string, NodeJS.Timeout>()
  #watch: FunctionsWatch | undefined
  #changed: () => void = () => {}
  #isStopped = false

  constructor(options: RegistryOptions) {
    this.#options = options
    this.#probe = new Probe({ loadMs: options.loadMs })
    this.#paused = new PausedFunctions(options.paused)
    this.#quarantine = new Quarantine(options.supervision)
  }

  get entries(): ReadonlyMap<string, Entry> {
    return this.#entries
  }

  /** Called at each change of what functions there are. */
  set onChange(callback: () => void) {
    this.#changed = callback
  }

  /** Loads every file of the folder, and follows it if told to; resolves when each has started or was refused. */
  async start({ watch }: { readonly watch: boolean }): Promise<void> {
    const { folder, tables, logger } = this.#options
    await mkdir(tables, { recursive: true })
    await this.#paused.read(logger)
    if (watch) {
      // Before the load: what is saved meanwhile is seen, and nothing is loaded twice.
      this.#watch = await watchFunctions({
        folder,
        onChange: ({ added, changed, removed }) => {
          void this.#take([...added, ...changed], removed)
        },
      })
    }
    const files = await this.#files()
    if (files.length === 0) {
      logger.warn(`no function in ${folder}: put a file there, such as click-count.ts`)
    }
    const { suspected } = this.#options.supervision
    const isSuspected = (file: string) => suspected.includes(basename(file, extname(file)))
    await this.#take(
      files.filter((file) => !isSuspected(file)),
      [],
    )
    for (const file of files.filter(isSuspected)) await this.#try(file)
  }

  /** Should the host die of it, it was this one. */
  async #try(file: string): Promise<void> {
    const name = basename(file, extname(file))
    this.#tried = name
    this.tellVitals()
    await this.#take([file], [])
    const end = Date.now() + maxTrialMs
    while (!this.#isStopped && Date.now() < end) {
      await pause(trialMs)
      // It has not handled anything before its table is there.
      if (!beginning.includes(this.#entries.get(name)?.cell?.state)) break
    }
    this.#tried = undefined
  }

  async operate(name: string, operation: Operation): Promise<boolean> {
    return await this.#inTurn(name, async () => {
      const entry = this.#entries.get(name)
      if (entry === undefined) return false
      if (this.#isStopped) throw new HostError('STOPPING', 'the host stops')
      // Written first: what a person was told holds when the host is started anew.
      if (operation !== 'restart') await this.#paused.set(name, operation === 'pause')
      if (operation !== 'pause') this.#quarantine.release(name)
      const cell = entry.cell?.state === 'stopped' ? undefined : entry.cell
      await cell?.[operation]()
      // The file was refused, for nothing runs or for what it has done to the host: it may be taken by now.
      const isRefused = cell === undefined || entry.error?.code === 'QUARANTINED'
      if (isRefused && operation !== 'pause') await this.#update(name)
      this.#options.logger.info(`${operation}, by a person`, { function: name })
      return true
    })
  }

  /** Looks at the folder once: what is new, changed or gone is taken up as if it had been followed. Unchanged code runs on. */
  async reload(): Promise<void> {
    const { folder } = this.#options
    // A folder that is away for a moment is no reason to stop everything.
    const names = await readdir(folder)
    const files = names.map((name) => join(folder, name)).filter((file) => isFunctionFile(file))
    const known = [...this.#entries.values()].flatMap((entry) => entry.files)
    await this.#take(
      files,
      known.filter((file) => !files.includes(file)),
    )
  }

  /** Ends every function's thread; what is saved meanwhile waits, too. Tables are served as they are. */
  async releaseLog(error: HostError): Promise<void> {
    if (this.#suspended === undefined) {
      let end = () => {}
      const over = new Promise<void>((resolve) => {
        end = resolve
      })
      this.#suspended = { error, over, end }
    }
    await Promise.all(this.#liveCells().map((cell) => cell.releaseLog(error)))
  }

  /** All goes on. */
  reclaimLog(): void {
    this.#suspended?.end()
    this.#suspended = undefined
    for (const cell of this.#liveCells()) void cell.reclaimLog()
  }

  #liveCells(): Cell[] {
    for (const cell of this.#cells) if (cell.state === 'stopped') this.#cells.delete(cell)
    return [...this.#cells]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true
    this.#suspended?.end()
    for (const timer of this.#retries.values()) clearTimeout(timer)
    await this.#watch?.[Symbol.asyncDispose]()
    // A save that is being worked off may wait for a cell that is stuck, or for the probe: their end ends its wait.
    await Promise.all([
      this.#probe[Symbol.asyncDispose](),
      this.#stopCells(),
      ...this.#queues.values(),
    ])
    // What such a save had started meanwhile.
    await this.#stopCells()
  }

  async #stopCells(): Promise<void> {
    const cells = [...this.#entries.values()].flatMap(({ cell }) => cell ?? [])
    await Promise.all(cells.map((cell) => cell[Symbol.asyncDispose]()))
  }

  async #files(): Promise<string[]> {
    const { folder } = this.#options
    const names = await readdir(folder).catch(() => [])
    return names.map((name) => join(folder, name)).filter((file) => isFunctionFile(file))
  }

  async #take(saved: readonly string[], removed: readonly string[]): Promise<void> {
    const names = new Set<string>()
    for (const file of removed) {
      this.#misnamed.delete(file)
      for (const entry of this.#entries.values()) {
        if (!entry.files.includes(file)) continue
        entry.files = entry.files.filter((known) => known !== file)
        names.add(entry.name)
      }
    }
    for (const file of saved) {
      const name = this.#nameOf(file)
      if (name === undefined) continue
      const entry = this.#entry(name)
      if (!entry.files.includes(file)) entry.files = [...entry.files, file].sort()
      names.add(name)
    }
    await Promise.all([...names].map((name) => this.#inTurn(name, () => this.#update(name))))
  }

  #nameOf(file: string): string | undefined {
    try {
      return functionName(file)
    } catch (error) {
      if (!this.#misnamed.has(file)) this.#options.logger.error(asHostError(error).message)
      this.#misnamed.add(file)
      return undefined
    }
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name) ?? { name, files: [], cell: undefined, error: null }
    this.#entries.set(name, entry)
    return entry
  }

  /** Behind what is being done with the function already. */
  #inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
    const after = this.#queues.get(name) ?? Promise.resolve()
    const done = after.then(work)
    const settled: Promise<void> = done
      .then(
        () => {},
        () => {},
      )
      .then(() => {
        if (this.#queues.get(name) === settled) this.#queues.delete(name)
      })
    this.#queues.set(name, settled)
    return done
  }

  /** Never rejects: what goes wrong is shown with the function. */
  async #update(name: string): Promise<void> {
    await this.#suspended?.over
    const entry = this.#entries.get(name)
    if (entry === undefined || this.#isStopped) return
    const [file, second] = entry.files
    const logger = this.#options.logger.child({ function: name })
    let bundle: Bundle | undefined
    try {
      if (file === undefined) {
        await this.#remove(entry)
        logger.info('stopped: its file is gone; its table and positions stay in the log')
      } else if (second !== undefined) {
        throw new HostError(
          'DUPLICATE_FUNCTION',
          `${entry.files.join(' and ')} are both the function ${name}: delete or rename one${entry.cell === undefined ? '' : '; what ran before goes on'}`,
          { function: name },
        )
      } else {
        bundle = await bundleFunction({ file, name, root: this.#options.root })
        this.#watch?.setInputs(file, bundle.inputs)
        await this.#run(entry, bundle, logger)
        if (entry.error !== null) logger.info('mended', { version: bundle.version })
        entry.error = null
      }
    } catch (error) {
      if (this.#isStopped) return
      const failure = asHostError(error, 'LOAD_FAILED')
      if (file !== undefined) {
        // With those of the running version: one that is gone may come back.
        const before = entry.cell?.bundle.inputs ?? []
        this.#watch?.setInputs(file, [...(inputsOf(failure) ?? [file]), ...before])
      }
      const isKnown = failure.retryable && entry.error?.code === failure.code
      entry.error = showError(toPlainError(failure), bundle)
      const isRunning = entry.cell !== undefined && entry.cell.state !== 'stopped'
      const goesOn = isRunning
        ? `the save was refused, version ${entry.cell?.bundle.version} goes on`
        : 'it does not run'
      if (!isKnown) {
        logger.error(`${goesOn}\n${describe(entry.error)}`, { code: entry.error.code })
      }
      if (failure.retryable && file !== undefined) this.#updateLater(name)
    }
    this.#changed()
  }

  /** No fault of the file's: a log that takes nothing for a while, for instance. */
  #updateLater(name: string): void {
    this.#later(name, () => this.#inTurn(name, () => this.#update(name)))
  }

  /** One per name or file: the one before is called off. */
  #later(what: string, work: () => Promise<void>): void {
    clearTimeout(this.#retries.get(what))
    const timer = setTimeout(() => {
      this.#retries.delete(what)
      if (!this.#isStopped) void work()
    }, retryMs)
    this.#retries.set(what, timer)
  }

  async #run(entry: Entry, bundle: Bundle, logger: Logger): Promise<void> {
    const { cell } = entry
    // One that has stopped is kept for what is known of it only.
    const running = cell?.state === 'stopped' ? undefined : cell
    if (running?.bundle.version === bundle.version && running.bundle.file === bundle.file) {
      // Only comments or layout changed: the code runs on, its lines lie elsewhere.
      running.remap(bundle)
      return
    }
    const quarantined = this.#quarantine.reason(bundle.name, bundle.version)
    // Saved again by way of another version: that one is sound, and goes on.
    if (running !== undefined && quarantined !== undefined) throw quarantined.error
    const { log, namespace, partitions } = this.#options
    const stored = running && (await this.#stored(running, logger))
    const description = await this.#describe(bundle, { namespace, stored })
    const edges = await prepareTopics(log, description, partitions)
    if (this.#isStopped) return
    if (running !== undefined && hasSameEdges(running.description, description)) {
      const from = running.bundle.version
      await running.swap(bundle, description, edges)
      logger.info('swapped', { from, to: bundle.version })
      return
    }
    // Other inputs or another table: what is stored and committed stays, and the new set is joined.
    await running?.[Symbol.asyncDispose]()
    try {
      const counted = cell === undefined ? undefined : countedBy(cell)
      await this.#start(entry, this.#cell({ bundle, description, edges, logger, counted }))
    } catch (error) {
      if (running !== undefined) await this.#startAgain(entry, running, logger)
      throw error
    }
  }

  /** A version that could not read what is stored would halt at the first record that needs it. */
  async #stored(running: Cell, logger: Logger): Promise<StoredValues | undefined> {
    const { table } = running.edges
    if (table === null || running.view === undefined) return undefined
    try {
      return { topic: table.topic, sample: await running.view.sample(this.#options.sample) }
    } catch (error) {
      // A table that is closed, or fails, must not keep a save from mending it.
      logger.warn(
        `the save is taken without a look at what the table holds: ${asHostError(error).message}`,
      )
      return undefined
    }
  }

  async #describe(
    bundle: Bundle,
    options: { readonly namespace: string; readonly stored: StoredValues | undefined },
  ): Promise<FunctionDescription> {
    const { name, version } = bundle
    const { error, isAtLoad = false } = this.#quarantine.reason(name, version) ?? {}
    if (isAtLoad) throw error
    const loading = (thread: number) => {
      this.#loading.set(name, { name, version, thread, isBusy: true, isLoading: true })
      // At once: it may be the last that is heard of this host.
      this.tellVitals()
    }
    try {
      return await this.#probe.probe(bundle, { ...options, onThread: loading })
    } finally {
      this.#loading.delete(name)
    }
  }

  /** To the supervisor: should this host die, it has to know of what. */
  tellVitals(): void {
    const cells = [...this.#entries.values()].flatMap(({ cell }) => cell ?? [])
    const running = cells.map((cell) => ({ ...cell.vitals(), isLoading: false }))
    const all = [...running, ...this.#loading.values()]
    const tried = this.#tried
    this.#options.supervision.vitals(
      tried === undefined
        ? all
        : all.map((each) => ({
            ...each,
            isBusy: each.name === tried,
            isLoading: each.isLoading && each.name === tried,
          })),
    )
  }

  /** The entry has it from now on, whatever becomes of it: its table stays known. */
  async #start(entry: Entry, cell: Cell): Promise<void> {
    // It would not be stopped any more.
    if (this.#isStopped) return
    entry.cell = cell
    this.#changed()
    try {
      await cell.start()
    } catch (error) {
      await cell[Symbol.asyncDispose]()
      throw error
    }
  }

  /** A save that cannot be started is refused as any other: the version before it goes on. */
  async #startAgain(entry: Entry, former: Cell, logger: Logger): Promise<void> {
    const { bundle, description, edges } = former
    try {
      const counted = countedBy(former)
      await this.#start(entry, this.#cell({ bundle, description, edges, logger, counted }))
    } catch (error) {
      logger.error(
        `version ${bundle.version} could not be started again: ${asHostError(error).message}`,
      )
    }
  }

  #cell(of: Pick<CellOptions, 'bundle' | 'description' | 'edges' | 'logger' | 'counted'>): Cell {
    const { log, tables, settings, ports = levelPorts, drainMs, instance } = this.#options
    const { name, version } = of.bundle
    const storePath = storePathOf(tables, of.description.group)
    const isPaused = this.#paused.has(name)
    const quarantined = this.#quarantine.reason(name, version)?.error
    // At once: the first record may be the last that is heard of this host.
    const opened = () => this.tellVitals()
    const state = { isPaused, quarantined, opened }
    const cell = new Cell({ ...of, log, storePath, settings, ports, drainMs, instance, ...state })
    this.#liveCells()
    this.#cells.add(cell)
    if (this.#suspended !== undefined) void cell.releaseLog(this.#suspended.error)
    return cell
  }

  async #remove(entry: Entry): Promise<void> {
    const { cell } = entry
    entry.cell = undefined
    this.#entries.delete(entry.name)
    await cell?.[Symbol.asyncDispose]()
    // Another function that comes under this name some day has not been paused by anybody.
    if (!this.#paused.has(entry.name)) return
    this.#paused.forget(entry.name)
    await this.#writePaused()
  }

  /** Never rejects: what cannot be written is tried again. */
  async #writePaused(isAgain = false): Promise<void> {
    const { paused, logger } = this.#options
    try {
      await this.#paused.write()
    } catch (error) {
      if (!isAgain) logger.warn(`tried again until it is written: ${asHostError(error).message}`)
      this.#later(paused, () => this.#writePaused(true))
    }
  }
}

const countedBy = (cell: Cell) => ({ records: cell.records(), swaps: cell.swaps })

/** A failed build names what it read: a change of any of these may mend it. */
function inputsOf(error: HostError): readonly string[] | undefined {
  const { details } = error
  if (typeof details !== 'object' || details === null || !('inputs' in details)) return undefined
  return Array.isArray(details.inputs) ? details.inputs : undefined
}
