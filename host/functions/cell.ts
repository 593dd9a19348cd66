// One function as the main thread has it: its membership, its worker, its table for reading, and its state.
import { type HostError, toPlainError } from '../errors.js'
import type { Assignment, Log, Membership } from '../log/log.js'
import type { Logger } from '../logger.js'
import { backoffMs } from '../processor/clock.js'
import type { Edges } from '../processor/program.js'
import { Progress } from '../processor/progress.js'
import { openLevelStore } from '../tables/level.js'
import type { TableStore } from '../tables/store.js'
import { createTableView, type TableView } from '../tables/view.js'
import type { FunctionState, PartitionStatus, ShownError } from './catalog.js'
import type { Bundle, FunctionDescription } from './description.js'
import { showError } from './failure.js'
import type { FromWorker, RecordPlace, Version, WorkerSettings } from './messages.js'
import { FunctionWorker } from './thread.js'

export interface CellOptions {
  readonly log: Log
  readonly edges: Edges
  readonly bundle: Bundle
  readonly description: FunctionDescription
  /** The folder of this function's store, absolute. */
  readonly storePath: string
  readonly settings: WorkerSettings
  readonly drainMs: number
  readonly instance: string
  readonly logger: Logger
}

type Phase = 'loading' | 'joining' | 'active' | 'draining' | 'stopped'

// Enough to map the stack of an attempt that began before a few quick saves.
const keptBundles = 8
const deathBackoffBaseMs = 100
const deathBackoffMaxMs = 30_000
/** A worker that lived for this long has not died of what killed the one before. */
const soundLifeMs = 60_000

export class Cell implements AsyncDisposable {
  readonly name: string
  readonly progress: Progress
  readonly #options: CellOptions
  readonly #bundles: Bundle[] = []
  readonly #partitions = new Map<number, PartitionStatus['state']>()
  #edges: Edges
  #description: FunctionDescription
  #bundle: Bundle
  #phase: Phase = 'loading'
  #isHalted = false
  /** The bundle, log or table did not open: the same again would end the same. */
  #isUnstartable = false
  #error: ShownError | null = null
  #swaps = 0
  #deaths = 0
  #startedAt = 0
  #retry: NodeJS.Timeout | undefined
  #store: TableStore | undefined
  #view: TableView | undefined
  #membership: Membership | undefined
  #assigned: readonly number[] = []
  #worker: FunctionWorker | undefined
  #disposing: Promise<void> | undefined

  constructor(options: CellOptions) {
    this.#options = options
    this.name = options.bundle.name
    this.#edges = options.edges
    this.#description = options.description
    this.#bundle = options.bundle
    this.#bundles.push(options.bundle)
    this.progress = Progress.allocate(options.edges.partitions, options.edges.inputs.length)
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
    return this.#view
  }

  get error(): ShownError | null {
    return this.#error
  }

  get swaps(): number {
    return this.#swaps
  }

  get state(): FunctionState {
    if (this.#phase !== 'active') return this.#phase
    if (this.#isHalted) return 'halted'
    return [...this.#partitions.values()].includes('recovering') ? 'recovering' : 'running'
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
    let sum = 0
    for (let partition = 0; partition < this.#edges.partitions; partition += 1) {
      sum += this.progress.records(partition)
    }
    return sum
  }

  async start(): Promise<void> {
    const { log, instance, storePath } = this.#options
    if (this.#edges.table !== null) {
      // Before the worker: who opens a shared store first has to close it last.
      this.#store = await openLevelStore({ path: storePath })
      this.#view = createTableView(this.#store, this.#edges.partitions)
    }
    this.#enter('joining')
    this.#membership = await log.join({
      group: this.#edges.group,
      topics: this.#edges.inputs.map(({ topic }) => topic),
      instance,
      assigned: async (assignment) => this.#takeUp(assignment),
      revoked: async () => await this.#giveUp(),
      lost: () => void this.#giveUp(),
    })
  }

  /** Puts another version with the same edges in place. If it does not load, the running one stays. */
  async swap(bundle: Bundle, description: FunctionDescription, edges: Edges): Promise<void> {
    const { drainMs, logger } = this.#options
    this.#remember(bundle)
    const worker = this.#worker
    const outcome = await worker?.swap(versionOf(bundle, description, edges), drainMs)
    this.#bundle = bundle
    this.#description = description
    this.#edges = edges
    this.#swaps += 1
    if (outcome === 'late') {
      logger.warn(
        `the running version did not come to a record boundary within ${drainMs} ms (limits.drainMs): its thread was ended, the new version takes up what it had not flushed; look for a handler that does not return, or a store that takes no writes`,
      )
    }
    if (outcome !== 'done' && this.#worker === worker) this.#worker = undefined
    // It was ended, had died, or never started: the new version is what it waited for.
    if (this.#worker === undefined && this.#phase === 'active') this.#launch()
    // The new version may have halted in its turn before this answer came.
    if (!this.#isHalted) this.#error = null
    this.progress.notify()
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
    this.#view = undefined
    await this.#store?.[Symbol.asyncDispose]()
    this.#enter('stopped')
  }

  #takeUp(assignment: Assignment): void {
    this.#assigned = assignment.partitions
    this.#enter('active')
    this.#launch()
  }

  async #giveUp(): Promise<void> {
    clearTimeout(this.#retry)
    this.#retry = undefined
    const worker = this.#worker
    this.#worker = undefined
    await worker?.drain(this.#options.drainMs)
    this.#partitions.clear()
  }

  #launch(): void {
    clearTimeout(this.#retry)
    this.#retry = undefined
    this.#isHalted = false
    this.#isUnstartable = false
    for (const partition of this.#assigned) this.#partitions.set(partition, 'recovering')
    this.#startedAt = Date.now()
    const { log, storePath, settings } = this.#options
    const worker: FunctionWorker = new FunctionWorker({
      start: {
        ...versionOf(this.#bundle, this.#description, this.#edges),
        storePath: this.#edges.table === null ? null : storePath,
        progress: this.progress.shared,
        partitions: this.#assigned,
        settings,
      },
      log: log.share(),
      onMessage: (message) => {
        if (this.#worker === worker) this.#hear(message)
      },
      onDeath: (error) => {
        if (this.#worker === worker) this.#mourn(error)
      },
    })
    this.#worker = worker
  }

  #hear(message: Exclude<FromWorker, { kind: 'reply' }>): void {
    const { logger } = this.#options
    switch (message.kind) {
      case 'recovering':
      case 'running':
        this.#partitions.set(message.partition, message.kind)
        if (message.kind === 'running' && this.state === 'running') {
          logger.info('running', { version: this.#bundle.version })
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
      case 'halted': {
        this.#isHalted = true
        this.#partitions.set(message.place.partition, 'halted')
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
        this.#isHalted = true
        this.#isUnstartable = true
        this.#error = showError(message.error, this.#bundle)
        logger.error(`cannot start\n${describe(this.#error)}`)
        break
      case 'log':
        logger[message.level](message.message, JSON.parse(message.fields))
        return
    }
    this.progress.notify()
  }

  #mourn(error: HostError): void {
    this.#worker = undefined
    for (const partition of this.#assigned) this.#partitions.set(partition, 'recovering')
    if (this.#isUnstartable) return
    this.#deaths = Date.now() - this.#startedAt > soundLifeMs ? 0 : this.#deaths + 1
    const pauseMs = backoffMs(this.#deaths, deathBackoffBaseMs, deathBackoffMaxMs)
    this.#error = showError(toPlainError(error), this.#bundle)
    this.#options.logger.error(
      `its thread ended and is started anew in ${pauseMs} ms\n${describe(this.#error)}`,
    )
    this.#retry = setTimeout(() => this.#launch(), pauseMs)
    this.progress.notify()
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
  const place = error.file === undefined ? '' : `\n${error.file}:${error.line}:${error.column}`
  const frame = error.frame === undefined ? '' : `\n${error.frame}`
  return `${error.code}: ${error.message}${place}${frame}`
}
