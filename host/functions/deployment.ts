// Puts a bundled version in place: probes it, makes its topics, and starts, swaps or restarts the function's cell.
import { asHostError } from '../errors.js'
import type { Log } from '../log/log.js'
import type { Logger } from '../logger.js'
import type { SampleLimits } from '../tables/sample.js'
import { Cell, type CellOptions } from './cell.js'
import type { Cells } from './cells.js'
import { Claims } from './claims.js'
import { type Bundle, type FunctionDescription, tableIdOf } from './description.js'
import type { Entry } from './entries.js'
import type { WorkerSettings } from './messages.js'
import { storePathOf } from './names.js'
import type { Pauses } from './paused.js'
import type { FunctionPorts } from './ports.js'
import { Probe, type StoredValues } from './probe.js'
import type { Quarantine } from './quarantine.js'
import { hasSameEdges, prepareTopics } from './topics.js'
import type { Deployed } from './versions.js'
import type { Vitals } from './vitals.js'

export interface DeploymentSettings {
  readonly log: Log
  /** The folder in which each function has its store, absolute. */
  readonly tables: string
  readonly namespace: string
  readonly partitions: number
  readonly settings: WorkerSettings
  readonly ports: FunctionPorts
  readonly drainMs: number
  readonly loadMs: number
  /** Of the stored values that a save has to take. */
  readonly sample: SampleLimits
  readonly instance: string
  /** Where other hosts reach this one; absent: there are none. */
  readonly address?: string
  /** As in `CellOptions`. */
  readonly left?: CellOptions['left']
}

export interface DeploymentOptions {
  readonly settings: DeploymentSettings
  readonly paused: Pick<Pauses, 'has'>
  readonly quarantine: Quarantine
  readonly cells: Cells
  readonly vitals: Vitals
  /** An entry has got another cell. */
  changed(): void
  /** What was refused for another function may be taken now. */
  released(): void
  /** The function's edges are others by now: it has to begin anew with them. */
  outdated(name: string, cell: Cell): void
}

export class Deployment implements AsyncDisposable {
  readonly #options: DeploymentOptions
  readonly #settings: DeploymentSettings
  readonly #probe: Probe
  readonly #claims: Claims
  #isStopped = false

  constructor(options: DeploymentOptions) {
    this.#options = options
    this.#settings = options.settings
    this.#probe = new Probe({ loadMs: options.settings.loadMs })
    this.#claims = new Claims(() => options.released())
  }

  /** Rejects if the version is refused: what ran before goes on. */
  async run(entry: Entry, bundle: Bundle, logger: Logger): Promise<void> {
    const { cell } = entry
    // One that has stopped is kept for what is known of it only.
    const running = cell?.state === 'stopped' ? undefined : cell
    if (running?.bundle.version === bundle.version && running.bundle.file === bundle.file) {
      // Only comments or layout changed: the code runs on, its lines lie elsewhere.
      running.remap(bundle)
      return
    }
    const quarantined = this.#options.quarantine.reason(bundle.name, bundle.version)
    // Saved again by way of another version: that one is sound, and goes on.
    if (running !== undefined && quarantined !== undefined) throw quarantined.error
    const stored = running && (await this.#stored(running, logger))
    const description = await this.#describe(bundle, stored)
    const claim = this.#claims.claim(description)
    try {
      await this.#put(entry, { bundle, description }, logger)
      claim.keep()
    } catch (error) {
      // What could not be started is known nevertheless: with its streams, and its table.
      if (entry.cell?.description === description) claim.keep()
      else claim.withdraw()
      throw error
    }
  }

  /** The code that runs begins anew with edges as they are now, whatever its file has by now. Rejects if that cannot be done yet. */
  async renew(entry: Entry, cell: Cell, logger: Logger): Promise<void> {
    const { bundle, description } = cell
    await cell[Symbol.asyncDispose]()
    const { log, partitions } = this.#settings
    const edges = await prepareTopics(log, description, partitions)
    const counted = countedBy(cell)
    await this.#start(entry, this.#cell({ bundle, description, edges, logger, counted }))
  }

  /** The function is gone, and has stopped. */
  forget(name: string): void {
    this.#claims.release(name)
  }

  async #put(
    entry: Entry,
    { bundle, description }: Pick<Deployed, 'bundle' | 'description'>,
    logger: Logger,
  ): Promise<void> {
    const { cell } = entry
    const running = cell?.state === 'stopped' ? undefined : cell
    const { log, partitions } = this.#settings
    const edges = await prepareTopics(log, description, partitions)
    if (this.#isStopped) return
    if (
      running !== undefined &&
      hasSameEdges(running.description, description) &&
      running.edges.partitions === edges.partitions
    ) {
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

  /** Nothing is started any more, and what waits for the probe waits no longer. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true
    await this.#probe[Symbol.asyncDispose]()
  }

  /** A version that could not read what is stored would halt at the first record that needs it. */
  async #stored(running: Cell, logger: Logger): Promise<StoredValues | undefined> {
    const table = tableIdOf(running.description)
    if (table === undefined || running.view === undefined) return undefined
    try {
      return { table, sample: await running.view.sample(this.#settings.sample) }
    } catch (error) {
      // A table that is closed, or fails, must not keep a save from mending it.
      logger.warn(
        `the save is taken without a look at what the table holds: ${asHostError(error).message}`,
      )
      return undefined
    }
  }

  async #describe(bundle: Bundle, stored: StoredValues | undefined): Promise<FunctionDescription> {
    const { name, version } = bundle
    const { quarantine, vitals } = this.#options
    const { error, isAtLoad = false } = quarantine.reason(name, version) ?? {}
    if (isAtLoad) throw error
    const { namespace } = this.#settings
    const onThread = (thread: number) => vitals.loading(name, version, thread)
    try {
      return await this.#probe.probe(bundle, { namespace, stored, onThread })
    } finally {
      vitals.loaded(name)
    }
  }

  /** The entry has it from now on, whatever becomes of it: its table stays known. */
  async #start(entry: Entry, cell: Cell): Promise<void> {
    // It would not be stopped any more.
    if (this.#isStopped) return
    entry.cell = cell
    this.#options.changed()
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
    const { log, tables, settings, ports, drainMs, loadMs, instance, address, left } =
      this.#settings
    const { paused, quarantine, cells, vitals } = this.#options
    const { name, version } = of.bundle
    const storePath = storePathOf(tables, of.description.group)
    const isPaused = paused.has(name)
    const quarantined = quarantine.reason(name, version)?.error
    // At once: the first record may be the last that is heard of this host.
    const opened = () => vitals.tell()
    const outdated = () => this.#options.outdated(name, cell)
    const state = { isPaused, quarantined, opened, outdated }
    const cell: Cell = new Cell({
      ...of,
      log,
      storePath,
      settings,
      ports,
      drainMs,
      loadMs,
      instance,
      ...(address === undefined ? {} : { address }),
      ...(left === undefined ? {} : { left }),
      ...state,
    })
    cells.add(cell)
    return cell
  }
}

const countedBy = (cell: Cell) => ({ records: cell.records(), swaps: cell.swaps })
