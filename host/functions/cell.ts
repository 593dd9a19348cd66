// One function as the main thread has it: joins its group, keeps its thread and its table, and has it swapped, paused and stopped.
import { asHostError, HostError, toPlainError } from '../errors.js'
import { haveSameTable } from '../log/group-edges.js'
import type { GroupEdges, GroupPeer, Log, TableLack } from '../log/log.js'
import { joinAlone } from '../log/sole-member.js'
import type { Logger } from '../logger.js'
import { systemClock } from '../processor/clock.js'
import type { Edges } from '../processor/program.js'
import { Progress } from '../processor/progress.js'
import type { VisitReport } from '../processor/visiting.js'
import type { FunctionVitals } from '../supervisor/messages.js'
import { lacksOf } from '../tables/lack.js'
import type { TableView } from '../tables/view.js'
import type { FunctionState, PartitionStatus, RecoveryStatus, ShownError } from './catalog.js'
import { Condition } from './condition.js'
import type { Bundle, FunctionDescription } from './description.js'
import { showError } from './failure.js'
import { HandOff } from './hand-off.js'
import { Hearing } from './hearing.js'
import { type HeldTable, holdTable } from './held-table.js'
import { Joining } from './joining.js'
import { KeptThread, notAtBoundary, type Outcome } from './kept-thread.js'
import type { WorkerSettings } from './messages.js'
import { notesPathOf, ownStorePathOf } from './names.js'
import type { VisitOrder } from './operation.js'
import type { FunctionPorts } from './ports.js'
import { recoverAhead } from './recovering-ahead.js'
import type { ThreadOptions } from './thread.js'
import { groupEdges } from './topics.js'
import { type Deployed, toVersion, Versions } from './versions.js'
import { Visits } from './visits.js'

export interface CellOptions extends Deployed {
  readonly log: Log
  /** The folder of this function's store, absolute. */
  readonly storePath: string
  readonly settings: WorkerSettings
  readonly ports: FunctionPorts
  readonly drainMs: number
  /** After so long somebody is told that a thread has not started yet. */
  readonly loadMs: number
  readonly instance: string
  /** Where other hosts reach this one; absent: there are none. */
  readonly address?: string
  /** It has left its group, in which these stay. Must not reject. */
  readonly left?: (functionName: string, others: readonly GroupPeer[]) => Promise<void>
  readonly logger: Logger
  /** A partition was opened: from now on it handles records. */
  opened(): void
  /** What it reads has changed: another cell has to take its place, for edges that are as they are now. */
  outdated(): void
  readonly isPaused: boolean
  /** Why it is not run, though it is known and its table is there. A swap, or a person, undoes it. */
  readonly quarantined?: HostError | undefined
  /** By the cell in whose place this one comes: counting goes on from there. */
  readonly counted?: { readonly records: number; readonly swaps: number } | undefined
}

/** For its table, and for its copies of others'. */
const keepsStore = ({ table, joins, lookups }: Edges): boolean =>
  table !== null || joins.length + lookups.length > 0

const nobody: readonly GroupPeer[] = []

/** Each instance has a copy of all that a view reads. `outdated`: its topic is not as it was when the edges were made of it. */
const alone = (log: Log, outdated: () => void): Pick<Log, 'join'> => ({
  join: async (options) => {
    const [topic = ''] = options.topics
    const found = await log.describe(options.topics, { endsOf: [] })
    const count = found.get(topic)?.partitions.length
    if (count === options.partitions) return await joinAlone(options, found)
    outdated()
    throw new HostError(
      'RECOVERING',
      `the topic ${topic} was deleted or made anew just now: the view begins with what there is`,
    )
  },
})

export class Cell implements AsyncDisposable {
  readonly name: string
  readonly progress: Progress
  readonly #options: CellOptions
  readonly #versions: Versions
  readonly #condition: Condition
  readonly #table: HeldTable | undefined
  readonly #thread: KeptThread
  readonly #joining: Joining
  readonly #visits: Visits
  #swaps: number
  /** Its thread gets ready while it waits for its first partitions. */
  #isAhead = false
  #disposing: Promise<void> | undefined

  constructor(options: CellOptions) {
    this.#options = options
    this.name = options.bundle.name
    const { bundle, description, edges, isPaused, quarantined, drainMs, logger } = options
    const progress = Progress.allocate(edges.partitions, edges.inputs.length)
    const changed = () => progress.notify()
    this.progress = progress
    this.#versions = new Versions({ bundle, description, edges })
    this.#condition = new Condition({ isPaused, quarantined, changed })
    this.#swaps = options.counted?.swaps ?? 0
    if (keepsStore(edges)) {
      this.#table = holdTable(description.store, {
        name: this.name,
        path: options.storePath,
        ownPath: ownStorePathOf(options.storePath),
        withinMs: drainMs,
        partitions: edges.partitions,
        logger,
        openStore: options.ports.openStore,
        damaged: (error) => this.#thread.reopen(error),
      })
    }
    const thread = new KeptThread({
      table: this.#table,
      drainMs,
      loadMs: options.loadMs,
      logger,
      mayStart: () => (this.#isNeeded || this.#isAhead) && !this.#condition.isHeld,
      start: () => this.#start(),
      hear: (message) => hearing.hear(message),
      listens: () => handOff.listens(),
      failed: (failure) => hearing.failed(failure, this.#joining.assigned),
    })
    this.#thread = thread
    const { opened, outdated } = options
    const versions = this.#versions
    const condition = this.#condition
    const visits = new Visits({ name: this.name, condition, versions, thread, logger })
    this.#visits = visits
    const hearing = new Hearing({
      condition,
      versions,
      thread,
      logger,
      opened,
      outdated,
      changed,
      visiting: (progress) => visits.hear(progress),
    })
    const handOff = new HandOff({
      thread,
      condition,
      drainMs,
      logger,
      share: () => ({ partitions: this.#joining.assigned, standbys: this.#standbys }),
      launch: () => this.#launch(),
    })
    this.#joining = new Joining({
      log: description.kind === 'view' ? alone(options.log, outdated) : options.log,
      instance: options.instance,
      standbysWanted: () => this.description.replicas.standby,
      warm: () => condition.warm,
      lacks: () => this.#lacks(),
      isReady: () => condition.state === 'running',
      ...(options.address === undefined ? {} : { address: options.address }),
      edges: () => this.edges,
      agreed: () => groupEdges(this.edges),
      version: () => this.bundle.version,
      prepare: async () => {
        await this.#table?.open()
        if (this.#disposing === undefined) condition.enter('joining')
      },
      failed: (failure, again) => {
        this.#isAhead = false
        thread.retry('cannot start', failure, again)
        hearing.notJoined()
      },
      takenUp: (assignment) => {
        this.#isAhead = false
        hearing.sharedOut(assignment.refused?.error)
        return handOff.takenUp({ ...assignment, standbys: this.#standbys })
      },
      ready: async () => {
        this.#isAhead = true
        if (condition.isHeld) return
        if (!thread.isThere) await thread.launch()
        await thread.ready()
      },
      revoked: (isLast) => handOff.revoked(isLast),
      givenUp: async () => {
        await handOff.givenUp()
        // For what is copied here, whoever has it.
        const isLeft = this.#disposing === undefined && this.#joining.assigned.length === 0
        if (isLeft && !thread.isThere) await this.#launch()
      },
      lost: (why) => {
        condition.lostAll()
        logger.warn(`what it had may be another's by now, and it joins its group again: ${why}`)
      },
      troubled: (failure) => hearing.troubled(failure),
      left: async (others) => await options.left?.(this.name, others),
    })
  }

  get bundle(): Bundle {
    return this.#versions.running.bundle
  }

  get description(): FunctionDescription {
    return this.#versions.running.description
  }

  get edges(): Edges {
    return this.#versions.running.edges
  }

  /** By which a key of its table is found: at those who run its group, which may be with other edges. */
  get tablePlace(): Pick<GroupEdges, 'partitions' | 'hasher'> {
    return this.#joining.refusal?.edges ?? this.edges
  }

  get view(): TableView | undefined {
    return this.edges.table === null ? undefined : this.#table?.view
  }

  get error(): ShownError | null {
    return this.#condition.error
  }

  /** Copies of others' tables without which it does not begin, in words. */
  get waitingFor(): readonly string[] {
    return this.#condition.waitingFor
  }

  get swaps(): number {
    return this.#swaps
  }

  get state(): FunctionState {
    return this.#condition.state
  }

  partitionState(partition: number): PartitionStatus['state'] | undefined {
    const isStandby = this.#condition.standby(partition) !== undefined
    return this.#condition.partition(partition) ?? (isStandby ? 'standby' : undefined)
  }

  /** Of a partition that others write: the offset behind what is stored of its changelog. */
  copied(partition: number): number {
    return this.progress.copied(partition)
  }

  /** Null: the partition is not being recovered. `stalledMs`: without progress for so long it stands still. */
  recovery(partition: number, stalledMs: number): RecoveryStatus | null {
    return this.#condition.recovery(partition, stalledMs)
  }

  /** What is stored is the table as of the last flush; false while it is being recovered. */
  isServing(partition: number): boolean {
    return this.#isServingOwn(partition) || this.isReplica(partition)
  }

  /** What is shown is a copy of what another has, or may have by now; or what was stored before the partition is open. */
  isReplica(partition: number): boolean {
    return (
      this.#isReplicated && !this.#isServingOwn(partition) && this.#condition.isWhole(partition)
    )
  }

  get #isReplicated(): boolean {
    if (this.description.replicas.views !== 'replicate') return false
    // Its table may not be the one that those have who run its group.
    const { edges } = this.#joining.refusal ?? {}
    return edges === undefined || haveSameTable(edges, groupEdges(this.edges))
  }

  /** What is shown of the partition, or of any, may have been changed since, as far as is known. */
  isStale(partition?: number): boolean {
    // A view that is cut off, paused or halted.
    if (this.description.kind === 'view') return this.state !== 'running'
    const { partitions } = this.edges
    const asked = partition === undefined ? Array.from({ length: partitions }).keys() : [partition]
    return [...asked].some((one) => this.isReplica(one) && !this.#isUpToDate(one))
  }

  #isUpToDate(partition: number): boolean {
    return this.#condition.standby(partition) === 'following' && !this.#condition.isCutOff
  }

  #isServingOwn(partition: number): boolean {
    return this.#condition.isServing(partition) && this.#joining.holds
  }

  /** What was read of it is still an answer: nobody else can have gone on with it. */
  isOwned(partition: number): boolean {
    return this.#condition.partition(partition) !== undefined && this.#joining.holds
  }

  /** Of its group; a view is in none. */
  get members(): readonly GroupPeer[] {
    return this.description.kind === 'view' ? nobody : this.#joining.members
  }

  /** Others say that its group has changed: it finds out at once. */
  heartbeat(): void {
    this.#joining.heartbeat()
  }

  /** What it has handled, as far as that is known here for sure; 0: it is not. */
  reached(topic: string, partition: number): number {
    // What was reached when it had the partition before may be of a topic that was made anew since: its opening finds that.
    return this.#isServingOwn(partition) ? this.position(topic, partition) : 0
  }

  /** As it was told last. */
  position(topic: string, partition: number): number {
    const input = this.edges.inputs.findIndex((edge) => edge.topic === topic)
    if (input === -1 || partition >= this.edges.partitions) return 0
    return this.progress.position(partition, input)
  }

  records(): number {
    return this.progress.totalRecords() + (this.#options.counted?.records ?? 0)
  }

  vitals(): Omit<FunctionVitals, 'isLoading'> {
    const { thread, isBusy = false } = this.#thread.vitals() ?? {}
    return {
      name: this.name,
      version: this.bundle.version,
      ...(thread === undefined ? {} : { thread }),
      isBusy,
      ...(this.#condition.isOpen ? { position: this.progress.totalPosition() } : {}),
    }
  }

  /** Resolves when it has joined, or will try again by itself; rejects with what trying again would not mend. */
  async start(): Promise<void> {
    // What comes first may take long, and must not keep a save from its turn.
    if (this.description.replicas.recoverAhead) void this.#startAhead()
    else await this.#joining.start()
  }

  /** Puts another version with the same edges in place. If it does not load, the running one stays. */
  async swap(bundle: Bundle, description: FunctionDescription, edges: Edges): Promise<void> {
    const { drainMs, logger } = this.#options
    const next = { bundle, description, edges }
    this.#versions.remember(bundle)
    const outcome = await this.#replace(next)
    this.#condition.quarantined = undefined
    this.#swaps += 1
    if (outcome === 'late') {
      logger.warn(
        `the running version did not come to a record boundary within ${drainMs} ms (limits.drainMs): its thread was ended, the new version takes up what it had not flushed; look for a handler that does not return, or a store that takes no writes`,
      )
    }
    if (outcome === 'unheard') {
      logger.warn(
        `the version before had not started within ${drainMs} ms (limits.drainMs): its thread was ended, the new version starts in another; look for code that does not come to its end when it is loaded, or a machine that has too much to do`,
      )
    }
    // It was ended, had died, or never started: the new version is what it waited for.
    if (!this.#thread.isThere) await this.#launch()
    // The new version may have halted in its turn before this answer came.
    if (!this.#condition.isHalted) this.#condition.failure = null
    this.progress.notify()
  }

  /** A store of the user's own is the version's own code: it is closed with that, and opened by the next, in a new thread. */
  async #replace(next: Deployed): Promise<Outcome> {
    const isOwn = next.description.store === 'own'
    // Before: whatever starts a thread meanwhile starts this version.
    if (isOwn) this.#versions.running = next
    const outcome = isOwn ? await this.#thread.end() : await this.#thread.swap(toVersion(next))
    this.#versions.running = next
    return outcome ?? 'absent'
  }

  /** The same code with another source map. */
  remap(bundle: Bundle): void {
    this.#versions.remap(bundle)
  }

  /** Resolves when it is at a record boundary, with everything before it flushed. Kept over swaps and new threads. */
  async pause(): Promise<void> {
    this.#condition.isPaused = true
    if ((await this.#ask('pause')) === 'late') await this.#launch()
    this.progress.notify()
  }

  /** After `pause`, or after it has halted: goes on at that record. */
  async resume(): Promise<void> {
    this.#condition.isPaused = false
    this.#condition.quarantined = undefined
    // One that is not there was given up, or waits to be started: that may be now.
    if ((await this.#ask('resume')) !== 'done') await this.#launch()
    this.progress.notify()
  }

  /** Calls one of its visitors once for each key that its partitions of the table hold. */
  async visit(order: VisitOrder): Promise<VisitReport> {
    return await this.#visits.run(order)
  }

  /** Of a view: removes the key until its next record comes. */
  async evict(partition: number, key: Buffer): Promise<void> {
    await this.#thread.evict(partition, key)
  }

  /** Ends the thread, whatever it is at, and starts it anew from what is flushed. */
  async restart(): Promise<void> {
    this.#condition.failure = null
    this.#condition.quarantined = undefined
    const { isBegun } = this.#condition
    // One that has not joined yet is being tried already; one that joins again starts another when it has.
    if (isBegun || this.#thread.isThere) await this.#thread.end()
    if (isBegun) await this.#launch()
  }

  /** Ends the thread until `reclaimLog`; what the table holds is served meanwhile. */
  async releaseLog(error: HostError): Promise<void> {
    this.#condition.isSuspended = true
    this.#condition.trouble = showError(toPlainError(error), this.bundle)
    this.progress.notify()
    await this.#thread.suspend()
  }

  async reclaimLog(): Promise<void> {
    this.#condition.isSuspended = false
    this.#condition.trouble = null
    await this.#thread.resume(this.#isNeeded)
    this.progress.notify()
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposing ??= this.#dispose()
    return this.#disposing
  }

  async #dispose(): Promise<void> {
    this.#condition.enter('draining')
    await this.#joining[Symbol.asyncDispose]()
    await this.#thread[Symbol.asyncDispose]()
    await this.#table?.[Symbol.asyncDispose]()
    this.#condition.enter('stopped')
  }

  /** Never rejects: what keeps it from joining is shown, and tried again. */
  async #startAhead(): Promise<void> {
    const condition = this.#condition
    try {
      await recoverAhead({
        condition,
        progress: this.progress,
        partitions: this.edges.partitions,
        launch: () => this.#launch(),
        isStopped: () => this.#disposing !== undefined,
      })
      if (this.#disposing === undefined) await this.#joining.start()
    } catch (error) {
      if (this.#disposing !== undefined) return
      this.#thread.retry('cannot join its group', asHostError(error), () => this.#startAhead())
    }
  }

  async #ask(kind: 'pause' | 'resume'): Promise<Outcome> {
    const outcome = await this.#thread.ask({ kind })
    if (outcome === 'late') {
      const { drainMs, logger } = this.#options
      logger.warn(notAtBoundary(drainMs))
    }
    return outcome
  }

  async #launch(): Promise<void> {
    const condition = this.#condition
    condition.isGivenUp = false
    if (!this.#isNeeded) return
    if (condition.quarantined !== undefined) {
      condition.held(condition.quarantined)
      this.#options.logger.error(`quarantined: ${condition.quarantined.message}`)
      this.progress.notify()
      return
    }
    condition.started()
    await this.#thread.launch()
  }

  /** Its thread has something to do. */
  get #isNeeded(): boolean {
    return this.#joining.assigned.length + this.#standbys.length > 0
  }

  async #lacks(): Promise<readonly TableLack[]> {
    const { log, settings } = this.#options
    const { table, joins, lookups } = this.edges
    if (table === null) return []
    const changelog = (await log.describe([table.topic])).get(table.topic)
    if (changelog === undefined) return []
    return lacksOf(changelog, (partition) => this.#table?.stored(partition), {
      hasCopies: joins.length + lookups.length > 0,
      wallTime: () => systemClock.wallTime(),
      tombstoneRetentionMs: changelog.tombstoneRetentionMs ?? settings.tombstoneRetentionMs,
    })
  }

  /** Of others, whose tables are copied here. */
  get #standbys(): readonly number[] {
    if (!this.#isReplicated && this.#condition.phase !== 'ahead') return this.#joining.standbys
    const all = Array.from({ length: this.edges.partitions }, (_, partition) => partition)
    return all.filter((partition) => !this.#joining.assigned.includes(partition))
  }

  #start(): Pick<ThreadOptions, 'entry' | 'start' | 'log'> {
    this.#condition.started()
    // Each thread has a store of its own, in which there is nothing yet, or what nobody knows.
    if (this.description.store !== 'level') this.#condition.storeLost()
    this.#condition.recovering(this.#joining.assigned)
    const { log, storePath, settings, ports } = this.#options
    return {
      entry: ports.threadEntry,
      start: {
        ...toVersion(this.#versions.running),
        ...(this.#table?.start() ?? { store: null }),
        notesPath: notesPathOf(storePath),
        progress: this.progress.shared,
        isPaused: this.#condition.isPaused,
        settings,
      },
      log: log.share(),
    }
  }
}
