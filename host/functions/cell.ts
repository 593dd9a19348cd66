// One function as the main thread has it: its membership, its worker, its table for reading, and its state.
import {
  asHostError,
  fromPlainError,
  type HostError,
  type PlainError,
  toPlainError,
} from '../errors.js'
import type { Assignment, Log, Membership } from '../log/log.js'
import type { Logger } from '../logger.js'
import type { Edges } from '../processor/program.js'
import { Progress } from '../processor/progress.js'
import type { FunctionVitals } from '../supervisor/messages.js'
import type { TableView } from '../tables/view.js'
import type { FunctionState, PartitionStatus, ShownError } from './catalog.js'
import type { Bundle, FunctionDescription } from './description.js'
import { showError } from './failure.js'
import { KeptThread } from './kept-thread.js'
import { LocalTable } from './local-table.js'
import type { FromWorker, RecordPlace, Version, WorkerSettings } from './messages.js'
import type { FunctionPorts } from './ports.js'
import type { ThreadOptions } from './thread.js'

export interface CellOptions {
  readonly log: Log
  readonly edges: Edges
  readonly bundle: Bundle
  readonly description: FunctionDescription
  /** The folder of this function's store, absolute. */
  readonly storePath: string
  readonly settings: WorkerSettings
  readonly ports: FunctionPorts
  readonly drainMs: number
  readonly instance: string
  readonly logger: Logger
  /** A partition was opened: from now on it handles records. */
  opened(): void
  readonly isPaused: boolean
  /** Why it is not run, though it is known and its table is there. A swap, or a person, undoes it. */
  readonly quarantined?: HostError | undefined
  /** By the cell in whose place this one comes: counting goes on from there. */
  readonly counted?: { readonly records: number; readonly swaps: number } | undefined
}

type Phase = 'loading' | 'joining' | 'active' | 'draining' | 'stopped'

// Enough to map the stack of an attempt that began before a few quick saves.
const keptBundles = 8

export class Cell implements AsyncDisposable {
  readonly name: string
  readonly progress: Progress
  readonly #options: CellOptions
  readonly #bundles: Bundle[] = []
  readonly #partitions = new Map<number, PartitionStatus['state']>()
  readonly #table: LocalTable | undefined
  readonly #thread: KeptThread
  readonly #recordsBefore: number
  #edges: Edges
  #description: FunctionDescription
  #bundle: Bundle
  #phase: Phase = 'loading'
  #isHalted = false
  #isPaused: boolean
  #quarantined: HostError | undefined
  /** This version would end at its start: no other is tried until a save, or a person, says so. */
  #isGivenUp = false
  #isSuspended = false
  #error: ShownError | null = null
  /** Passes by itself: shown until everything runs. */
  #trouble: ShownError | null = null
  #swaps: number
  #membership: Membership | undefined
  #assigned: readonly number[] = []
  #disposing: Promise<void> | undefined

  constructor(options: CellOptions) {
    this.#options = options
    this.name = options.bundle.name
    this.#edges = options.edges
    this.#description = options.description
    this.#bundle = options.bundle
    this.#bundles.push(options.bundle)
    const { partitions, inputs, table } = options.edges
    this.progress = Progress.allocate(partitions, inputs.length)
    this.#recordsBefore = options.counted?.records ?? 0
    this.#swaps = options.counted?.swaps ?? 0
    this.#isPaused = options.isPaused
    this.#quarantined = options.quarantined
    const { storePath: path, drainMs, logger, ports } = options
    if (table !== null) {
      const damaged = (error: HostError) => this.#thread.reopen(error)
      const { openStore } = ports
      this.#table = new LocalTable({
        name: this.name,
        path,
        partitions,
        logger,
        openStore,
        damaged,
      })
    }
    this.#thread = new KeptThread({
      table: this.#table,
      drainMs,
      logger,
      mayStart: () => this.#assigned.length > 0 && !this.#isHeld,
      start: () => this.#start(),
      hear: (message) => this.#hear(message),
      failed: (what, error, pauseMs) => this.#failed(what, error, pauseMs),
    })
  }

  get bundle(): Bundle {
    return this.#bundle
  }

  get description(): FunctionDescription {
    return this.#description
  }

  get edges(): Edges {
    return this.#edges
  }

  get view(): TableView | undefined {
    return this.#table?.view
  }

  get error(): ShownError | null {
    return this.#trouble ?? this.#error
  }

  get swaps(): number {
    return this.#swaps
  }

  get state(): FunctionState {
    if (this.#phase !== 'active') return this.#phase
    const isRecovering = this.#isRecovering()
    // A person's word is shown before its own failure; what is not open yet is neither.
    if (this.#isPaused && !isRecovering) return 'paused'
    if (this.#isHalted) return 'halted'
    return isRecovering || this.#isSuspended ? 'recovering' : 'running'
  }

  partitionState(partition: number): PartitionStatus['state'] | undefined {
    return this.#partitions.get(partition)
  }

  /** What is stored is the table as of the last flush; false while it is being recovered. */
  isServing(partition: number): boolean {
    const state = this.#partitions.get(partition)
    return state === 'running' || state === 'halted'
  }

  position(topic: string, partition: number): number {
    const input = this.#edges.inputs.findIndex((edge) => edge.topic === topic)
    if (input === -1 || partition >= this.#edges.partitions) return 0
    return this.progress.position(partition, input)
  }

  records(): number {
    let sum = this.#recordsBefore
    for (let partition = 0; partition < this.#edges.partitions; partition += 1) {
      sum += this.progress.records(partition)
    }
    return sum
  }

  vitals(): Omit<FunctionVitals, 'isLoading'> {
    const { thread, isBusy = false } = this.#thread.vitals() ?? {}
    return {
      name: this.name,
      version: this.#bundle.version,
      ...(thread === undefined ? {} : { thread }),
      isBusy,
      ...(this.#partitions.size === 0 || this.#isRecovering() ? {} : { position: this.#sum() }),
    }
  }

  /** Resolves when it has joined, or will try again by itself; rejects with what trying again would not mend. */
  async start(): Promise<void> {
    try {
      await this.#join()
    } catch (error) {
      const failure = asHostError(error)
      if (!failure.retryable) throw failure
      this.#wait(failure)
    }
  }

  /** It is known, and not run. */
  get #isHeld(): boolean {
    return this.#quarantined !== undefined || this.#isGivenUp
  }

  #isRecovering(): boolean {
    return [...this.#partitions.values()].includes('recovering')
  }

  /** Of all positions. */
  #sum(): number {
    const { partitions, inputs } = this.#edges
    let sum = 0
    for (let partition = 0; partition < partitions; partition += 1) {
      for (const input of inputs.keys()) sum += this.progress.position(partition, input)
    }
    return sum
  }

  /** Ends the thread until `reclaimLog`; what the table holds is served meanwhile. */
  async releaseLog(error: HostError): Promise<void> {
    this.#isSuspended = true
    this.#trouble = showError(toPlainError(error), this.#bundle)
    this.progress.notify()
    await this.#thread.suspend()
  }

  async reclaimLog(): Promise<void> {
    this.#isSuspended = false
    this.#trouble = null
    await this.#thread.resume(this.#assigned.length > 0)
    this.progress.notify()
  }

  async #join(): Promise<void> {
    const { log, instance } = this.#options
    await this.#table?.open()
    if (this.#disposing !== undefined) return
    this.#enter('joining')
    const membership = await log.join({
      group: this.#edges.group,
      topics: this.#edges.inputs.map(({ topic }) => topic),
      instance,
      assigned: (assignment) => this.#takeUp(assignment),
      revoked: () => this.#giveUp(),
      lost: () => void this.#giveUp(),
    })
    this.#membership = membership
    // Stopped meanwhile, by somebody who saw no membership.
    if (this.#disposing !== undefined) await membership[Symbol.asyncDispose]()
  }

  #wait(failure: HostError): void {
    this.#thread.retry('cannot start', failure, async () => {
      try {
        await this.#join()
      } catch (error) {
        this.#wait(asHostError(error))
      }
    })
  }

  /** Puts another version with the same edges in place. If it does not load, the running one stays. */
  async swap(bundle: Bundle, description: FunctionDescription, edges: Edges): Promise<void> {
    const { drainMs, logger } = this.#options
    this.#remember(bundle)
    const outcome = await this.#thread.swap(versionOf(bundle, description, edges))
    this.#bundle = bundle
    this.#quarantined = undefined
    this.#description = description
    this.#edges = edges
    this.#swaps += 1
    if (outcome === 'late') {
      logger.warn(
        `the running version did not come to a record boundary within ${drainMs} ms (limits.drainMs): its thread was ended, the new version takes up what it had not flushed; look for a handler that does not return, or a store that takes no writes`,
      )
    }
    // It was ended, had died, or never started: the new version is what it waited for.
    if (!this.#thread.isThere) await this.#launch()
    // The new version may have halted in its turn before this answer came.
    if (!this.#isHalted) this.#error = null
    this.progress.notify()
  }

  /** Resolves when it is at a record boundary, with everything before it flushed. Kept over swaps and new threads. */
  async pause(): Promise<void> {
    this.#isPaused = true
    if ((await this.#ask('pause')) === 'late') await this.#launch()
    this.progress.notify()
  }

  /** After `pause`, or after it has halted: goes on at that record. */
  async resume(): Promise<void> {
    this.#isPaused = false
    this.#quarantined = undefined
    // One that is not there was given up, or waits to be started: that may be now.
    if ((await this.#ask('resume')) !== 'done') await this.#launch()
    this.progress.notify()
  }

  /** Ends the thread, whatever it is at, and starts it anew from what is flushed. */
  async restart(): Promise<void> {
    this.#error = null
    this.#quarantined = undefined
    // One that has not joined yet is being tried already.
    if (this.#phase !== 'active') return
    await this.#thread.end()
    await this.#launch()
  }

  async #ask(kind: 'pause' | 'resume'): Promise<'done' | 'late' | 'died' | 'absent'> {
    const outcome = await this.#thread.ask({ kind })
    if (outcome === 'late') {
      const { drainMs, logger } = this.#options
      logger.warn(
        `it did not come to a record boundary within ${drainMs} ms (limits.drainMs): its thread was ended, a new one takes up what it had not flushed; look for a handler that does not return`,
      )
    }
    return outcome
  }

  /** The same code with another source map. */
  remap(bundle: Bundle): void {
    this.#bundle = bundle
    const known = this.#bundles.findIndex(({ version }) => version === bundle.version)
    if (known !== -1) this.#bundles[known] = bundle
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposing ??= this.#dispose()
    return this.#disposing
  }

  async #dispose(): Promise<void> {
    this.#enter('draining')
    if (this.#membership !== undefined) await this.#membership[Symbol.asyncDispose]()
    await this.#giveUp()
    await this.#thread[Symbol.asyncDispose]()
    await this.#table?.[Symbol.asyncDispose]()
    this.#enter('stopped')
  }

  async #takeUp(assignment: Assignment): Promise<void> {
    if (this.#disposing !== undefined) return
    this.#assigned = assignment.partitions
    this.#enter('active')
    await this.#launch()
  }

  async #giveUp(): Promise<void> {
    this.#assigned = []
    await this.#thread.end()
    this.#partitions.clear()
  }

  async #launch(): Promise<void> {
    this.#isGivenUp = false
    if (this.#assigned.length === 0) return
    if (this.#quarantined !== undefined) {
      this.#isHalted = true
      // It has joined: what kept it from that has passed.
      this.#trouble = null
      this.#error = showError(toPlainError(this.#quarantined), undefined)
      this.#options.logger.error(`quarantined: ${this.#quarantined.message}`)
      this.progress.notify()
      return
    }
    this.#isHalted = false
    await this.#thread.launch()
  }

  #start(): Pick<ThreadOptions, 'entry' | 'start' | 'log'> {
    this.#isHalted = false
    for (const partition of this.#assigned) this.#partitions.set(partition, 'recovering')
    const { log, storePath, settings, ports } = this.#options
    return {
      entry: ports.threadEntry,
      start: {
        ...versionOf(this.#bundle, this.#description, this.#edges),
        storePath: this.#edges.table === null ? null : storePath,
        progress: this.progress.shared,
        partitions: this.#assigned,
        isPaused: this.#isPaused,
        settings,
      },
      log: log.share(),
    }
  }

  #failed(what: string, error: HostError, pauseMs: number): void {
    if (this.#isHeld && this.#phase === 'active') {
      // Its table alone: why it does not run stays shown.
      this.#options.logger.error(`${what}: tried again in ${pauseMs} ms\n${error.message}`)
      return
    }
    for (const partition of this.#assigned) this.#partitions.set(partition, 'recovering')
    const shown = showError(toPlainError(error), this.#bundle)
    // A thread that died may do so again; the rest has passed when everything runs.
    if (error.code === 'WORKER_DIED') this.#error = shown
    else this.#trouble = shown
    this.#options.logger.error(`${what}: started anew in ${pauseMs} ms\n${describe(shown)}`)
    this.progress.notify()
  }

  #hear(message: Exclude<FromWorker, { kind: 'reply' }>): void {
    const { logger } = this.#options
    switch (message.kind) {
      case 'recovering':
      case 'running':
        this.#partitions.set(message.partition, message.kind)
        this.#options.opened()
        if (message.kind === 'running' && ['running', 'paused'].includes(this.state)) {
          this.#trouble = null
          logger.info(this.state, { version: this.#bundle.version })
        }
        break
      case 'fenced':
        this.#partitions.delete(message.partition)
        logger.warn('another owner took a partition over', { partition: message.partition })
        break
      case 'resumed':
        this.#isHalted = false
        this.#error = null
        for (const [partition, state] of this.#partitions) {
          if (state === 'halted') this.#partitions.set(partition, 'running')
        }
        break
      case 'detached':
        this.#thread.reopen(fromPlainError(message.error))
        break
      case 'halted': {
        if (message.error.code === 'STORE_DAMAGED') {
          this.#thread.reopen(fromPlainError(message.error))
          break
        }
        this.#isHalted = true
        const { partition } = message.place
        // One that could not be opened has nothing to show yet.
        if (this.#partitions.get(partition) === 'running') {
          this.#partitions.set(partition, 'halted')
        }
        const shown = this.#show(message)
        this.#error = shown
        logger.error(
          `halted: it goes on at this record when a mended version is saved\n${describe(shown)}`,
          placeFields(message.place),
        )
        break
      }
      case 'skipped':
        logger.warn(`record skipped\n${describe(this.#show(message))}`, placeFields(message.place))
        break
      case 'unstartable':
        this.#cannotStart(message.error)
        break
      case 'log':
        logger[message.level](message.message, JSON.parse(message.fields))
        return
    }
    this.progress.notify()
  }

  #cannotStart(error: PlainError): void {
    const failure = fromPlainError(error, 'LOAD_FAILED')
    if (failure.code === 'STORE_DAMAGED') this.#thread.reopen(failure)
    else if (failure.retryable) this.#thread.retry('cannot start', failure)
    else {
      // The bundle's own fault: the same again would end the same.
      void this.#thread.end()
      this.#isGivenUp = true
      this.#isHalted = true
      this.#error = showError(error, this.#bundle)
      this.#options.logger.error(
        `cannot start until a mended version is saved\n${describe(this.#error)}`,
      )
    }
  }

  #show(message: Extract<FromWorker, { kind: 'halted' | 'skipped' }>): ShownError {
    const bundle = this.#bundles.find(({ version }) => version === message.place.version)
    return showError(message.error, bundle, message.place)
  }

  #remember(bundle: Bundle): void {
    this.#bundles.unshift(bundle)
    this.#bundles.length = Math.min(this.#bundles.length, keptBundles)
  }

  #enter(phase: Phase): void {
    this.#phase = phase
    this.progress.notify()
  }
}

function versionOf(bundle: Bundle, description: FunctionDescription, edges: Edges): Version {
  const { name, file, version, code } = bundle
  return { bundle: { name, file, version, code }, edges, options: description.options }
}

function placeFields({ stream, partition, offset, key, attempts }: RecordPlace) {
  return { stream, partition, offset, key, attempts }
}

/** For the terminal: message, place and code frame. */
export function describe(error: ShownError): string {
  const at = error.line === undefined ? '' : `:${error.line}:${error.column ?? 1}`
  const place = error.file === undefined ? '' : `\n${error.file}${at}`
  const frame = error.frame === undefined ? '' : `\n${error.frame}`
  return `${error.code}: ${error.message}${place}${frame}`
}
