// All functions of the host: follows the folder of function files, and has what is saved there taken up.
import { mkdir } from 'node:fs/promises'
import { basename, extname } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { asHostError, HostError, toPlainError } from '../errors.js'
import type { Logger } from '../logger.js'
import type { VisitReport } from '../processor/visiting.js'
import { bundleFunction } from './bundle.js'
import { isBeginning, type ShownError } from './catalog.js'
import type { Cell } from './cell.js'
import { Cells } from './cells.js'
import { Deployment, type DeploymentSettings } from './deployment.js'
import type { Bundle } from './description.js'
import { Entries, type Entry, functionFiles } from './entries.js'
import { describeError, showError } from './failure.js'
import type { Asked, Operation, Operator, ResetReport, VisitOrder } from './operation.js'
import type { Pauses } from './paused.js'
import { Quarantine, type Supervision } from './quarantine.js'
import { Queues } from './queues.js'
import { Resetting } from './resetting.js'
import { Retries } from './retries.js'
import { notRunning } from './visits.js'
import { Vitals } from './vitals.js'
import { type FunctionsWatch, watchFunctions } from './watch.js'

export interface RegistryOptions extends DeploymentSettings {
  readonly logger: Logger
  /** Resolves when the log is known to take nothing for now: what is loaded waits for it. */
  readonly logAway?: Promise<void>
  /** Of the project: npm packages are found from here. */
  readonly root: string
  /** The folder of function files, absolute. */
  readonly folder: string
  readonly supervision: Supervision
  readonly paused: Pauses
  /** Resolves when it is known what is asked of the functions elsewhere; before, none is started. Rejects with why it is not known. */
  readonly ready?: () => Promise<void>
}

/** How long a suspect is left alone with the blame, from when it runs. */
const trialMs = 500
const maxTrialMs = 10_000
/** Between two tries at what could not be done. */
const retryMs = 1_000
/** Between two looks at whether somebody else has made what a view reads: it may take long. */
const lookMs = 3_000

export class Registry implements AsyncDisposable, Operator {
  readonly #options: RegistryOptions
  readonly #paused: Pauses
  readonly #quarantine: Quarantine
  readonly #entries: Entries
  readonly #cells = new Cells()
  readonly #vitals: Vitals
  readonly #deployment: Deployment
  /** Changes of one name are worked off one after another. */
  readonly #queues = new Queues()
  readonly #retries = new Retries()
  readonly resetting: Resetting
  #watch: FunctionsWatch | undefined
  #changed: () => void = () => {}
  #isStopped = false
  #isReleased: () => void = () => {}
  /** Resolves when the log is closed for a while, for the first time. */
  readonly #released = new Promise<void>((resolve) => {
    this.#isReleased = resolve
  })

  constructor(options: RegistryOptions) {
    this.#options = options
    this.#entries = new Entries(options.logger)
    this.#paused = options.paused
    this.#quarantine = new Quarantine(options.supervision)
    this.resetting = new Resetting({
      ...options,
      entries: this.#entries,
      queues: this.#queues,
      update: (name) => this.#update(name),
    })
    this.#vitals = new Vitals(options.supervision.vitals, () => this.#entries.cells)
    this.#deployment = new Deployment({
      settings: options,
      paused: this.#paused,
      quarantine: this.#quarantine,
      cells: this.#cells,
      vitals: this.#vitals,
      changed: () => this.#changed(),
      released: () => this.#takeRefused('FUNCTION_CONFLICT'),
      outdated: (name, cell) => this.#renewInTurn(name, cell),
    })
  }

  get entries(): ReadonlyMap<string, Entry> {
    return this.#entries.all
  }

  /** Called at each change of what functions there are. */
  set onChange(callback: () => void) {
    this.#changed = callback
  }

  /**
   * Loads every file of the folder, and follows it if told to; resolves when each has started or was refused, or waits for the
   * log. Suspects are known then, and come one after another, for which nobody has to wait.
   */
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
    const files = await functionFiles(folder).catch(() => [])
    if (files.length === 0) {
      logger.warn(`no function in ${folder}: put a file there, such as click-count.ts`)
    }
    const { suspected } = this.#options.supervision
    const isSuspected = (file: string) => suspected.includes(basename(file, extname(file)))
    const suspects = [...this.#entries.take(files.filter(isSuspected), [])]
    const others = files.filter((file) => !isSuspected(file))
    // A disk that refuses to be written to, or brokers that are away, are seen to by a person, who is told by the host that runs.
    const loaded = this.#take(others, [])
    await Promise.race([loaded, this.#released, this.#options.logAway ?? loaded])
    void loaded.then(() => this.#tryAll(suspects))
  }

  async operate(name: string, operation: Operation): Promise<Asked | undefined> {
    return await this.#queues.inTurn(name, async () => {
      const entry = this.#entries.get(name)
      if (entry === undefined) return undefined
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
      return 'here'
    })
  }

  async reset(name: string): Promise<(ResetReport & { readonly asked: Asked }) | undefined> {
    if (this.#isStopped) throw new HostError('STOPPING', 'the host stops')
    const report = await this.resetting.run(name)
    if (report === undefined) return undefined
    this.#options.logger.info('reset, by a person', { function: name, ...report })
    return { ...report, asked: 'here' }
  }

  /** What was refused when `ready` rejected may be taken now. */
  retake(): void {
    for (const { name, cell, error } of this.#entries.all.values()) {
      if (error === null || (cell !== undefined && cell.state !== 'stopped')) continue
      void this.#queues.inTurn(name, () => this.#update(name))
    }
  }

  /** Not in turn with what else befalls the function: that is to end it. */
  async visit(name: string, order: VisitOrder): Promise<VisitReport | undefined> {
    const entry = this.#entries.get(name)
    if (entry === undefined) return undefined
    if (this.#isStopped) throw new HostError('STOPPING', 'the host stops')
    if (entry.cell === undefined) throw notRunning(name, 'refused')
    const report = await entry.cell.visit(order)
    this.#options.logger.info(`visit ${order.visitor}`, { function: name, ...report })
    return report
  }

  async evict(name: string, partition: number, key: Buffer): Promise<boolean> {
    const cell = this.#entries.get(name)?.cell
    if (cell?.description.kind !== 'view') return false
    await cell.evict(partition, key)
    return true
  }

  heartbeat(name: string): void {
    this.#entries.get(name)?.cell?.heartbeat()
  }

  /** Looks at the folder once: what is new, changed or gone is taken up as if it had been followed. Unchanged code runs on. */
  async reload(): Promise<void> {
    // A folder that is away for a moment is no reason to stop everything.
    const files = await functionFiles(this.#options.folder)
    await this.#take(
      files,
      this.#entries.files.filter((file) => !files.includes(file)),
    )
  }

  /** To the supervisor. */
  tellVitals(): void {
    this.#vitals.tell()
  }

  /** Ends every function's thread; what is saved meanwhile waits, too. Tables are served as they are. */
  async releaseLog(error: HostError): Promise<void> {
    this.#isReleased()
    await this.#cells.releaseLog(error)
  }

  /** All goes on. */
  reclaimLog(): void {
    this.#cells.reclaimLog()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true
    this.#cells.stop()
    this.#retries[Symbol.dispose]()
    await this.#watch?.[Symbol.asyncDispose]()
    // A save that is being worked off may wait for a cell that is stuck, or for the probe: their end ends its wait.
    await Promise.all([
      this.#deployment[Symbol.asyncDispose](),
      this.#stopCells(),
      this.#queues.settled(),
    ])
    // What such a save had started meanwhile.
    await this.#stopCells()
  }

  async #stopCells(): Promise<void> {
    await Promise.all(this.#entries.cells.map((cell) => cell[Symbol.asyncDispose]()))
  }

  /** Never rejects. */
  async #tryAll(names: readonly string[]): Promise<void> {
    for (const name of names) {
      if (this.#isStopped) break
      await this.#try(name)
    }
    this.#vitals.tried = undefined
  }

  /** Should the host die of it, it was this one. */
  async #try(name: string): Promise<void> {
    this.#vitals.tried = name
    await this.#queues.inTurn(name, () => this.#update(name))
    const end = Date.now() + maxTrialMs
    while (!this.#isStopped && Date.now() < end) {
      await pause(trialMs, undefined, { ref: false })
      if (!isBeginning(this.#entries.get(name)?.cell?.state)) break
    }
  }

  /** Those that could not run beside another function, which is another now, or gone; or without what others make. */
  #takeRefused(code: 'FUNCTION_CONFLICT' | 'RECOVERING'): void {
    for (const { name, error } of this.#entries.all.values()) {
      if (error?.code !== code) continue
      void this.#queues.inTurn(name, () => this.#update(name))
    }
  }

  async #take(saved: readonly string[], removed: readonly string[]): Promise<void> {
    const names = [...this.#entries.take(saved, removed)]
    await Promise.all(names.map((name) => this.#queues.inTurn(name, () => this.#update(name))))
  }

  /** Never rejects: what goes wrong is shown with the function. */
  async #update(name: string): Promise<void> {
    await this.#cells.over
    const entry = this.#entries.get(name)
    if (entry === undefined || this.#isStopped) return
    const [file, second] = entry.files
    const logger = this.#options.logger.child({ function: name })
    let bundle: Bundle | undefined
    try {
      if (file === undefined) {
        const isView = entry.cell?.description.kind === 'view'
        await this.#remove(entry)
        logger.info(
          isView
            ? 'stopped: its file is gone; its copy stays on this disk'
            : 'stopped: its file is gone; its table and positions stay in the log',
        )
      } else if (second !== undefined) {
        throw new HostError(
          'DUPLICATE_FUNCTION',
          `${entry.files.join(' and ')} are both the function ${name}: delete or rename one${entry.cell === undefined ? '' : '; what ran before goes on'}`,
          { function: name },
        )
      } else {
        bundle = await bundleFunction({ file, name, root: this.#options.root })
        this.#watch?.setInputs(file, bundle.inputs)
        await this.#options.ready?.()
        this.resetting.check(name)
        await this.#deployment.run(entry, bundle, logger)
        if (entry.error !== null) logger.info('mended', { version: bundle.version })
        entry.error = null
        // It has made its topics: what waits for one of them need not look for it.
        this.#takeRefused('RECOVERING')
      }
    } catch (error) {
      if (this.#isStopped) return
      this.#refused(entry, asHostError(error, 'LOAD_FAILED'), bundle, logger)
    }
    this.#changed()
  }

  #renewInTurn(name: string, cell: Cell, shown: ShownError | null = null): void {
    void this.#queues.inTurn(name, () => this.#renew(name, cell, shown))
  }

  /**
   * The code that runs, for edges that are others now; `shown`: why it could not be done the last time. Never rejects. Why a save
   * was refused stays shown: that is as it was.
   */
  async #renew(name: string, cell: Cell, shown: ShownError | null): Promise<void> {
    await this.#cells.over
    const entry = this.#entries.get(name)
    // A save, or another that had noticed it, came first.
    if (entry?.cell !== cell || this.#isStopped || this.resetting.has(name)) return
    const logger = this.#options.logger.child({ function: name })
    try {
      await this.#deployment.renew(entry, cell, logger)
      if (entry.error === shown) entry.error = null
    } catch (error) {
      if (this.#isStopped) return
      const failure = asHostError(error, 'LOAD_FAILED')
      const why = showError(toPlainError(failure), cell.bundle)
      if (shown?.code !== why.code) {
        logger.error(`it cannot begin anew yet\n${describeError(why)}`, { code: why.code })
      }
      if (entry.error === shown) entry.error = why
      const next = entry.cell
      const again = async () => this.#renewInTurn(name, next, why)
      // A point is in no function's name: a save that waits to be tried again goes on waiting.
      this.#retries.later(`${name}.anew`, again, pauseAfter(failure))
    }
    this.#changed()
  }

  #refused(entry: Entry, failure: HostError, bundle: Bundle | undefined, logger: Logger): void {
    const { name, cell } = entry
    const [file] = entry.files
    if (file !== undefined) {
      // With those of the running version: one that is gone may come back.
      const before = cell?.bundle.inputs ?? []
      this.#watch?.setInputs(file, [...(inputsOf(failure) ?? [file]), ...before])
    }
    const isKnown = failure.retryable && entry.error?.code === failure.code
    const shown = showError(toPlainError(failure), bundle)
    entry.error = shown
    if (!isKnown) {
      const isRunning = cell !== undefined && cell.state !== 'stopped'
      const goesOn = isRunning
        ? `the save was refused, version ${cell.bundle.version} goes on`
        : 'it does not run'
      // What others will make is no error yet, and what the host's end keeps from running is none.
      const level = notYet.has(failure.code) ? 'info' : 'error'
      logger[level](`${goesOn}\n${describeError(shown)}`, { code: shown.code })
    }
    if (!failure.retryable || file === undefined) return
    // No fault of the file's: a log that takes nothing for a while, for instance.
    const again = () => this.#queues.inTurn(name, () => this.#update(name))
    this.#retries.later(name, again, pauseAfter(failure))
  }

  async #remove(entry: Entry): Promise<void> {
    const { cell, name } = entry
    entry.cell = undefined
    this.#entries.delete(name)
    await cell?.[Symbol.asyncDispose]()
    this.#deployment.forget(name)
    // Another function that comes under this name some day has not been paused by anybody.
    if (!this.#paused.has(name)) return
    this.#paused.forget(name)
    await this.#writePaused()
  }

  /** Never rejects: what cannot be written is tried again. */
  async #writePaused(isAgain = false): Promise<void> {
    try {
      await this.#paused.write()
    } catch (error) {
      if (!isAgain) {
        const why = asHostError(error).message
        this.#options.logger.warn(`tried again until it is written: ${why}`)
      }
      // A point is in no function's name.
      this.#retries.later('.paused', () => this.#writePaused(true), retryMs)
    }
  }
}

const notYet: ReadonlySet<string> = new Set(['RECOVERING', 'STOPPING'])

const pauseAfter = ({ code }: HostError): number => (code === 'RECOVERING' ? lookMs : retryMs)

/** A failed build names what it read: a change of any of these may mend it. */
function inputsOf(error: HostError): readonly string[] | undefined {
  const { details } = error
  if (typeof details !== 'object' || details === null || !('inputs' in details)) return undefined
  return Array.isArray(details.inputs) ? details.inputs : undefined
}
