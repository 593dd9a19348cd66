// The data plane of one view in one thread: the copy of each partition of its table, and what holds or replaces it.
import { asHostError, HostError, toPlainError } from '../errors.js'
import type { TableStore } from '../tables/store.js'
import { Copies, dropOtherCopies } from './copies.js'
import type { GroupEvents, GroupOptions, HaltReason, Share } from './group.js'
import { Rest } from './rest.js'
import type { RecordFailure } from './runner.js'
import type { ViewProgram } from './view-program.js'

export interface ViewEvents
  extends Pick<
    GroupEvents,
    | 'recovering'
    | 'progressed'
    | 'running'
    | 'wiping'
    | 'halted'
    | 'resumed'
    | 'detached'
    | 'warned'
    | 'waiting'
  > {
  /** The table's topic has other partitions than it was made for: it has to be made anew. */
  outdated(error: HostError): void
}

export interface ViewGroupOptions
  extends Pick<GroupOptions, 'log' | 'progress' | 'tombstoneRetentionMs' | 'refreshMs' | 'clock'> {
  readonly store: TableStore
  readonly program: ViewProgram
  readonly events: ViewEvents
}

export class ViewGroup implements AsyncDisposable {
  readonly #options: ViewGroupOptions
  readonly #copies: Copies
  readonly #rest: Rest
  readonly #abort = new AbortController()
  /** Under way: settles when the partition runs, or what keeps it from that is told. */
  readonly #opening = new Map<number, Promise<void>>()
  /** Partitions that a failure keeps from running. */
  readonly #halted = new Set<number>()
  #program: ViewProgram
  #isPaused = false
  #isOutdated = false
  #isStopped = false

  constructor(options: ViewGroupOptions) {
    this.#options = options
    this.#program = options.program
    this.#rest = new Rest(options.clock, this.#abort.signal)
    this.#copies = this.#copied()
  }

  get isHalted(): boolean {
    return this.#halted.size > 0
  }

  /** Everything that is known to be in the log is stored. */
  get isIdle(): boolean {
    return this.#opening.size === 0 && this.#copies.isIdle
  }

  /** Resolves when each partition runs, or has halted the view; without them it is `assign` that tells. */
  async start(partitions: readonly number[] = []): Promise<void> {
    this.#copies.start()
    await dropOtherCopies(this.#options.store, [])
    await Promise.all(partitions.map((partition) => this.#open(partition)))
  }

  /** As of a group, of which it is the one member: they are told once. Nobody waits until they run. */
  async assign({ partitions }: Pick<Share, 'partitions'>): Promise<() => void> {
    return () => {
      for (const partition of partitions) void this.#open(partition)
    }
  }

  /** Puts another version in place, between two batches. A view that has halted goes on at its record. */
  async swap(program: ViewProgram): Promise<void> {
    await this.#copies.hold()
    this.#program = program
    this.#unhalt()
    if (!this.#isPaused) await this.#copies.release()
  }

  async pause(): Promise<void> {
    this.#isPaused = true
    await this.#copies.hold()
  }

  /** After `pause`, or after the view has halted: it goes on at its record. */
  resume(): void {
    this.#unhalt()
    this.#isPaused = false
    void this.#copies.release()
  }

  /** Removes a key from the copy until its next record comes. */
  async evict(partition: number, key: Buffer): Promise<void> {
    const [{ topic } = { topic: '' }] = this.#program.edges.inputs
    await this.#copies.evict({ topic, partition }, key)
  }

  /** Stores what was read, then ends. */
  async drain(): Promise<void> {
    await this.#copies.hold()
    await this.#copies.refresh(0)
    await this[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#abort.abort(new HostError('STOPPING', 'the view is stopping'))
    await this.#copies[Symbol.asyncDispose]()
    await Promise.all(this.#opening.values())
  }

  /** Never rejects. */
  #open(partition: number): Promise<void> {
    const under = this.#opening.get(partition)
    if (under !== undefined) return under
    this.#options.events.recovering(partition)
    const opening = this.#bringUp(partition)
    this.#opening.set(partition, opening)
    return opening
  }

  async #bringUp(partition: number): Promise<void> {
    try {
      // It may be lost again before anybody knows that it was there.
      do await this.#copies.ready(partition)
      while (this.#copies.lost.includes(partition))
      this.#opening.delete(partition)
      if (!this.#isStopped) this.#runs(partition)
    } catch (error) {
      this.#opening.delete(partition)
      this.#failed(asHostError(error, 'LOG_FAILED'), [partition])
    }
  }

  #copied(): Copies {
    const { log, store, progress, tombstoneRetentionMs, refreshMs, clock, events } = this.#options
    const { edges } = this.#program
    const tables = edges.inputs.map(({ topic }) => {
      return { kind: 'view' as const, table: edges.function, topic, hasher: edges.hasher }
    })
    let isCutOff: string | undefined
    let waitingFor: readonly string[] = []
    const tellWaiting = () =>
      events.waiting(isCutOff === undefined ? waitingFor : [...waitingFor, isCutOff])
    return new Copies({
      log,
      store,
      tables,
      function: edges.function,
      partitions: edges.partitions,
      tombstoneRetentionMs,
      isRefreshed: refreshMs !== null,
      clock,
      rest: (ms) => this.#rest.wait(ms),
      signal: this.#abort.signal,
      apply: (batch, of) => this.#program.apply(batch, of),
      progressed: (...told) => events.progressed(...told),
      wiping: (partition) => events.wiping(partition),
      stored: (partition, next, records) =>
        progress.publish(partition, [next], progress.records(partition) + records),
      cutOff: (error) => {
        isCutOff =
          error && `the log, from which it is cut off (${error.message}): what it has is read`
        tellWaiting()
      },
      waiting: (whatFor) => {
        waitingFor = whatFor
        tellWaiting()
      },
      warned: (message, fields) => events.warned(message, fields),
      interrupted: (partitions) => {
        for (const partition of partitions) void this.#open(partition)
      },
      detached: (cause) => events.detached(0, cause),
      failed: (error) => this.#failed(error, this.#copies.lost),
    })
  }

  #runs(partition: number): void {
    const { events } = this.#options
    events.running(partition)
    // What kept it from that is gone: with its topic, for instance.
    if (this.#halted.delete(partition) && this.#halted.size === 0) events.resumed()
  }

  /** `partitions`: those that do not run for it, and perhaps others that do not for what came before. */
  #failed(error: HostError, partitions: readonly number[]): void {
    if (this.#isStopped) return
    const { events } = this.#options
    const [first = 0] = partitions
    const partition = error.partition ?? first
    if (error.code === 'STORE_FAILED') events.detached(partition, error)
    else if (error.code === 'TOPIC_MISMATCH') {
      // Told once: each partition finds it.
      if (!this.#isOutdated) events.outdated(error)
      this.#isOutdated = true
    } else this.#halt(this.#reason(error, partition), partitions)
  }

  #reason(error: HostError, partition: number): HaltReason {
    const { version } = this.#program
    if (error.code === 'RECORD_FAILED') return error.details as RecordFailure
    return { error: toPlainError(error), partition, version }
  }

  #halt(reason: HaltReason, partitions: readonly number[]): void {
    const isOfNow = reason.version === this.#program.version
    for (const partition of partitions) {
      if (isOfNow) this.#halted.add(partition)
      // By a version that is gone: the one in its place may take it.
      else if (!this.#halted.has(partition)) void this.#open(partition)
    }
    if (isOfNow) this.#options.events.halted(reason)
  }

  #unhalt(): void {
    if (this.#halted.size === 0) return
    const halted = [...this.#halted]
    this.#halted.clear()
    // First: it does not run before they are open.
    for (const partition of halted) void this.#open(partition)
    this.#options.events.resumed()
  }
}
