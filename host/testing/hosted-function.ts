// One function under test: the tasks that the host would run in its thread, run here, on a store in memory.
import { asHostError, fromPlainError, HostError } from '../errors.js'
import { isView } from '../functions/definition.js'
import type { FunctionDescription } from '../functions/description.js'
import { hasSameEdges, prepareTopics } from '../functions/topics.js'
import type { MemoryLog } from '../log/memory/log.js'
import { isObject } from '../object.js'
import type { UserLog } from '../processor/context.js'
import { Group, type HaltReason } from '../processor/group.js'
import { createProgram, type Edges, type Program } from '../processor/program.js'
import { Progress } from '../processor/progress.js'
import type { RecordFailure } from '../processor/runner.js'
import { createRuntime, type Runtime, swapRuntime } from '../processor/runtime.js'
import { userLog } from '../processor/user-log.js'
import { createViewProgram, type RecordAt, type ViewProgram } from '../processor/view-program.js'
import { type VisitCounts, visitArgument, visitStream } from '../processor/visit.js'
import type { TableStore } from '../tables/store.js'
import type { Definition } from './edges.js'
import { KeptStore } from './kept-store.js'
import { Life } from './life.js'
import { known } from './names.js'
import type { Settings } from './options.js'
import type { Pace } from './pace.js'
import type { FailedRecord, FunctionStatus, LogLine } from './status.js'
import { UserCode } from './user-code.js'

export class HostedFunction implements FunctionStatus {
  readonly name: string
  readonly skipped: FailedRecord[] = []
  readonly lines: LogLine[] = []
  readonly #log: MemoryLog
  readonly #pace: Pace
  readonly #settings: Settings
  readonly #userCode = new UserCode()
  #definition: Definition
  #description: FunctionDescription
  #edges: Edges
  readonly #store: KeptStore
  #progress: Progress
  #life = new Life()
  #group: Runtime | undefined
  #versions = 1
  #isPaused = false
  #error: HostError | undefined

  private constructor(options: HostedFunctionOptions, edges: Edges) {
    this.name = options.description.name
    this.#log = options.log
    this.#pace = options.pace
    this.#settings = options.settings
    this.#definition = options.definition
    this.#description = options.description
    this.#edges = edges
    this.#store = new KeptStore(this.name, options.definition.store)
    this.#progress = progressOf(edges)
  }

  /** Makes its topics; `start` starts it. */
  static async create(options: HostedFunctionOptions): Promise<HostedFunction> {
    const { log, description, settings } = options
    return new HostedFunction(options, await prepareTopics(log, description, settings.partitions))
  }

  get definition(): Definition {
    return this.#definition
  }

  get description(): FunctionDescription {
    return this.#description
  }

  get store(): TableStore {
    return this.#store.opened
  }

  get state(): FunctionStatus['state'] {
    if (this.#error !== undefined) return 'halted'
    if (this.#isPaused) return 'paused'
    return this.#group === undefined ? 'recovering' : 'running'
  }

  get error(): HostError | undefined {
    return this.#error
  }

  get records(): number {
    return this.#places().reduce(
      (sum, { partition, input }) => sum + (input === 0 ? this.#progress.records(partition) : 0),
      0,
    )
  }

  get lag(): number {
    const inputs = this.#places().map(({ topic, partition, input }) => ({
      topic,
      partition,
      offset: this.#progress.position(partition, input),
    }))
    const copied = this.#group instanceof Group ? this.#group.copied : []
    return [...inputs, ...copied].reduce((sum, { topic, partition, offset }) => {
      // Behind a transaction that is open still there may be what was emitted.
      const end = this.#log.end(topic, partition)
      return sum + end - Math.min(end, offset)
    }, 0)
  }

  /** No commit of it is under way. */
  get isQuiet(): boolean {
    return this.#life.isQuiet
  }

  get isUserCodeDone(): boolean {
    return this.#userCode.isDone
  }

  /** It has nothing to do, or will do nothing: read to its end, halted or paused. */
  get isAtRest(): boolean {
    if (this.#error !== undefined) return true
    const group = this.#group
    if (group === undefined || group.isHalted) return false
    return this.#isPaused || (group.isIdle && this.lag === 0)
  }

  async start(): Promise<void> {
    const life = new Life()
    this.#life = life
    const edges = this.#edges
    const { flush, cacheBytes, maxRecordBytes, tombstoneRetentionMs } = this.#settings
    const group = createRuntime({
      log: life.log(this.#log),
      store: life.store(await this.#store.open()),
      program: this.#program(),
      progress: this.#progress,
      flush,
      cacheBytes,
      maxRecordBytes,
      tombstoneRetentionMs,
      // It would be one more thing that time moves.
      refreshMs: null,
      cleanupDelayMs: null,
      // A handler takes real time, which this clock knows nothing of: see `#comesToBoundary`.
      attemptGraceMs: Number.POSITIVE_INFINITY,
      clock: this.#pace.clock,
      events: {
        recovering: () => {},
        progressed: () => {},
        recovered: () => {},
        running: () => {},
        fenced: () => {},
        detached: (_partition, cause) => {
          if (!life.isOver) this.#error = asHostError(cause, 'STORE_FAILED')
        },
        outdated: () => {},
        warned: () => {},
        waiting: () => {},
        standby: () => {},
        wiping: async () => {},
        dropped: () => {},
        cutOff: () => {},
        resumed: () => {
          this.#error = undefined
        },
        halted: (reason) => {
          if (!life.isOver) this.#error = this.#halt(reason)
        },
        skipped: (failure) => void this.skipped.push(this.#failedRecord(failure)),
        log: (at) => this.#userLog(at),
      },
    })
    const partitions = Array.from({ length: edges.partitions }, (_, partition) => partition)
    if (this.#isPaused) void group.pause()
    await this.#pace.ended(group.start(partitions), () => `${this.name} does not start`)
    this.#group = group
  }

  /** As `kill -9` ends it. */
  async crash(): Promise<void> {
    this.#life.end()
    await this.#stop()
    this.#progress = progressOf(this.#edges)
  }

  /** Another owner takes its partitions over; this one is not told. */
  async fence(): Promise<void> {
    const { group, partitions } = this.#edges
    if (isView(this.#definition)) return await this.#stop()
    for (let partition = 0; partition < partitions; partition += 1) {
      await using _other = await this.#log.openWriter(group, partition)
    }
    await this.#pace.breathe()
    await this.#stop()
  }

  /** Flushes and stops. */
  async drain(): Promise<void> {
    const group = this.#group
    if (group === undefined) return
    if (!(await this.#comesToBoundary(group.drain(), 'drains'))) this.#life.end()
    await this.#stop()
  }

  /** As a host that has lost its disk, or never had one. */
  async loseStore(): Promise<void> {
    await this.#store.lose()
  }

  async pause(): Promise<void> {
    this.#isPaused = true
    const pausing = this.#group?.pause()
    if (pausing !== undefined) await this.#pace.ended(pausing, () => `${this.name} pauses`)
  }

  resume(): void {
    this.#isPaused = false
    this.#group?.resume()
  }

  async visit(visitor: string, argument: unknown): Promise<VisitCounts> {
    const { name } = this
    const { visitors } = this.#description
    known(
      visitors.find((each) => each === visitor),
      `visitor of ${name}`,
      visitor,
      visitors,
    )
    const group = this.#group
    if (!(group instanceof Group)) throw new HostError('NOT_RUNNING', `${name} does not run`)
    let seen = ''
    const visiting = group.visit({
      visitor,
      argument: visitArgument(JSON.stringify(argument)),
      isCounted: false,
      progressed: ({ visited }) => {
        seen = `, ${visited} visited so far`
      },
    })
    await this.#pace.ended(
      visiting.catch(() => {}),
      () => `${name} is being visited${seen}`,
    )
    try {
      const { visited, failed, vanished } = await visiting
      return { visited, failed, vanished }
    } catch (error) {
      throw this.#visitFailure(visitor, error)
    }
  }

  async swap(definition: Definition, description: FunctionDescription): Promise<void> {
    const { partitions } = this.#settings
    const edges = await prepareTopics(this.#log, description, partitions)
    const isKept =
      hasSameEdges(this.#description, description) && this.#store.keepsFor(definition.store)
    const group = isKept ? this.#group : undefined
    if (group === undefined) await this.drain()
    if (!isKept) await this.#store.use(definition.store)
    this.#definition = definition
    this.#description = description
    this.#versions += 1
    this.#edges = edges
    if (group === undefined) this.#progress = progressOf(edges)
    else if (await this.#comesToBoundary(swapRuntime(group, this.#program()), 'is swapped')) return
    else await this.crash()
    await this.start()
  }

  async end(): Promise<void> {
    this.#life.end()
    await this.#stop()
    await this.#store[Symbol.asyncDispose]()
  }

  /** False: a handler does not end, which is then given up, as the host gives it up. */
  async #comesToBoundary(work: Promise<unknown>, what: string): Promise<boolean> {
    try {
      await this.#pace.ended(work, () => `${this.name} ${what}`, this.#settings.timeoutMs / 2)
      return true
    } catch (error) {
      if (error instanceof HostError && error.code === 'WAIT_TIMEOUT') return false
      throw error
    }
  }

  async #stop(): Promise<void> {
    const group = this.#group
    this.#group = undefined
    this.#error = undefined
    await group?.[Symbol.asyncDispose]()
    this.#userCode.forget()
  }

  #program(): Program | ViewProgram {
    const definition = this.#definition
    const edges = this.#edges
    const version = `${this.#versions}`
    if (!isView(definition)) {
      const watched = this.#userCode.watch(definition)
      return createProgram(watched, edges, this.#description.options, version)
    }
    const watched = this.#userCode.watchView(definition)
    return createViewProgram({
      definition: watched,
      edges,
      version,
      log: (at) => this.#userLog(at),
    })
  }

  #userLog({ key }: Pick<RecordAt, 'key'>): UserLog {
    return userLog((level, message, fields) => {
      this.lines.push({ level, message, fields, key })
    })
  }

  #places() {
    const { inputs, partitions } = this.#edges
    return inputs.flatMap(({ topic }, input) =>
      Array.from({ length: partitions }, (_, partition) => ({ topic, partition, input })),
    )
  }

  #halt(reason: HaltReason): HostError {
    const { function: _, ...place } = { function: this.name, ...reason }
    const failed = 'offset' in reason ? this.#failedRecord(reason) : undefined
    const cause = failed?.error ?? fromPlainError(reason.error)
    const where =
      failed === undefined
        ? `partition ${reason.partition}`
        : `${failed.stream}, partition ${failed.partition}, offset ${failed.offset}, key "${failed.key}", after ${failed.attempts} ${failed.attempts === 1 ? 'attempt' : 'attempts'}`
    const error = fromPlainError(reason.error, 'HANDLER_FAILED')
    return new HostError(error.code, `${this.name} has halted at ${where}: ${cause.message}`, {
      cause,
      function: this.name,
      partition: place.partition,
      ...(failed === undefined ? {} : { stream: failed.stream, offset: failed.offset }),
    })
  }

  /** With the very error that the visitor has thrown. */
  #visitFailure(visitor: string, error: unknown): unknown {
    if (!(error instanceof HostError) || !isObject(error.details)) return error
    const { code, message, details, partition } = error
    if (code !== 'VISIT_FAILED' || partition === undefined) return error
    const place = { stream: visitStream(visitor), partition, offset: -1, key: String(details.key) }
    const cause = this.#userCode.thrownAt(place) ?? error.cause
    return new HostError(code, message, { function: this.name, partition, details, cause })
  }

  #failedRecord(failure: RecordFailure): FailedRecord {
    const { error, version: _, ...place } = failure
    return {
      error: this.#userCode.thrownAt(place) ?? fromPlainError(error, 'HANDLER_FAILED'),
      ...place,
    }
  }
}

interface HostedFunctionOptions {
  readonly definition: Definition
  readonly description: FunctionDescription
  readonly log: MemoryLog
  readonly pace: Pace
  readonly settings: Settings
}

const progressOf = ({ partitions, inputs }: Edges): Progress =>
  Progress.allocate(partitions, inputs.length)
