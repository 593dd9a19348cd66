// One partition of one function: has its records handled, and flushes what that did.
import type { Batch, LogWriter, RecordToAppend } from '../log/log.js'
import { turn } from '../turn.js'
import type { Clock } from './clock.js'
import type { Attempt, UserLog } from './context.js'
import { Effects } from './effects.js'
import { Flusher, type FlushKind, type FlushResult, type TablePartition } from './flush.js'
import { Handling } from './handling.js'
import { type InputBuffer, positionIn } from './input.js'
import type { Held } from './overlay.js'
import type { Copied, Program } from './program.js'
import type { RecordFailure } from './runner.js'
import { Signal } from './signal.js'
import type { Visit } from './visit.js'

export interface FlushLimits {
  /** A flush is made after this long, or at once when the input is drained. */
  readonly intervalMs: number
  /** As far as the interval is stretched while records keep coming. */
  readonly maxIntervalMs: number
  /** Of what waits for a flush, and of what is taken and not finished; more makes the task wait. */
  readonly maxBytes: number
  /** Records that may be taken from the inputs while one before them is not finished. */
  readonly maxUnfinished: number
}

export interface TaskOptions {
  readonly partition: number
  readonly program: Program
  readonly writer: LogWriter
  readonly table: TablePartition | null
  /** As in `program.edges.inputs`. */
  readonly inputs: readonly InputBuffer[]
  /** Handled so far by this process; goes on being counted. */
  readonly records: number
  readonly flush: FlushLimits
  readonly cacheBytes: number
  readonly maxRecordBytes: number
  readonly clock: Clock
  /** The value of another's table. Throws if it cannot be read. */
  copied(of: Copied, key: string): Buffer | undefined
  /** Unfenced, for outputs that leave at once. Resolves when they are in the log. */
  append(records: readonly RecordToAppend[]): Promise<unknown>
  /** Positions that are handled and stored. */
  publish(positions: readonly number[], records: number): void
  /** Has to hold this task before it returns: else the record is tried for ever. */
  halted(failure: RecordFailure): void
  skipped(failure: RecordFailure): void
  /** The task has ended by itself: another owner, or the log's state has to be read anew. */
  lost(why: Loss, cause: unknown): void
  /** An input has room again. */
  low(topic: string): void
  /** The log or the table refused something that is tried again. */
  retried(what: 'commit' | 'output' | 'store' | 'read', cause: unknown, attempt: number): void
  log(attempt: Attempt): UserLog
}

/** `broken`: the task itself has failed, which is a defect. */
export type Loss = Exclude<FlushResult['kind'], 'stored' | 'skipped'> | 'broken'

type Step = 'drained' | 'starved' | 'full' | 'yield' | Promise<void>

// Long enough to be worth the turn of the event loop, short enough for messages to get in between.
const sliceMs = 8
const clockEvery = 64
const unwritten: readonly FlushResult['kind'][] = ['fenced', 'refused']
// Between two flushes while handlers run and there is nothing more to take.
const soonMs = 5

export class Task {
  readonly partition: number
  readonly #options: TaskOptions
  readonly #inputs: readonly InputBuffer[]
  readonly #effects: Effects
  readonly #handling: Handling
  readonly #flusher: Flusher
  readonly #wake = new Signal()
  #records: number
  /** Records have come to count since the last freeze. */
  #isDirty = false
  #dirtySince = 0
  #intervalMs: number
  #callOffTimer: (() => void) | undefined
  #callOffSoon: (() => void) | undefined
  #flushing: Promise<void> | undefined
  #isFlushDue = false
  #visit: Visit | undefined
  #holds = 0
  #isSettled = false
  #settledWaiters: (() => void)[] = []
  #isClosed = false
  #running: Promise<void> | undefined

  constructor(options: TaskOptions) {
    const { partition, program, clock, writer, table } = options
    this.#options = options
    this.partition = partition
    this.#inputs = options.inputs
    this.#records = options.records
    this.#intervalMs = options.flush.intervalMs
    this.#effects = new Effects({
      program,
      cacheBytes: options.cacheBytes,
      clock,
      append: (records) => options.append(records),
      retried: (cause, attempt) => options.retried('output', cause, attempt),
      refused: (cause) => this.#lose('refused', cause),
      wake: () => this.#wake.set(),
    })
    this.#handling = new Handling({
      partition,
      program,
      inputs: options.inputs,
      clock,
      maxRecordBytes: options.maxRecordBytes,
      maxUnfinished: options.flush.maxUnfinished,
      read: (key) => this.#read(key),
      copied: (of, key) => options.copied(of, key),
      succeeded: (attempt) => this.#effects.succeeded(attempt),
      counted: (attempt, what) => this.#count(attempt, what),
      halted: (failure) => options.halted(failure),
      skipped: (failure) => options.skipped(failure),
      unread: (cause, attempt) => options.retried('read', cause, attempt),
      lost: (why, cause) => this.#lose(why, cause),
      low: (topic) => options.low(topic),
      wake: () => this.#wake.set(),
      log: (attempt) => options.log(attempt),
    })
    this.#flusher = new Flusher({
      partition,
      writer,
      table,
      clock,
      onRetry: (what, cause, attempt) => options.retried(what, cause, attempt),
    })
  }

  /** Everything that is known to be in the log is handled and stored. */
  get isIdle(): boolean {
    return !this.#isDirty && this.#flushing === undefined && this.#handling.isDone
  }

  start(): void {
    this.#publish()
    this.#running = this.#run().catch((cause: unknown) => this.#lose('broken', cause))
  }

  /** False: the input is full, no more of it until `low` is called. */
  offer(batch: Batch): boolean {
    const input = this.#inputs.find(({ topic }) => topic === batch.topic)
    if (input === undefined || this.#isClosed) return true
    input.offer(batch)
    this.#wake.set()
    return !input.isFull
  }

  /**
   * Stops at the next record boundary: what runs, or waits for acknowledgements, comes to its end or is given up by `abandon`.
   * Resolves when all that counts is flushed and stored. Undone by `release`.
   */
  async hold(): Promise<void> {
    this.#holds += 1
    this.#handling.hold()
    this.#wake.set()
    if (this.#isSettled || this.#isClosed) return
    await new Promise<void>((resolve) => this.#settledWaiters.push(resolve))
  }

  release(): void {
    this.#holds -= 1
    if (this.#holds === 0) {
      // Released before it had come to rest: who waited for that need not.
      this.#settle()
      this.#isSettled = false
      this.#handling.release()
    }
    this.#wake.set()
  }

  /** Gives up what runs or waits for acknowledgements; these records are handled anew. */
  abandon(): void {
    this.#handling.abandon()
  }

  /** Only while held. */
  replace(program: Program): void {
    this.#effects.program = program
    this.#handling.program = program
  }

  /**
   * Notes in the store that it is at the changelog's end, should that have been noted longer ago: recovery takes a store that was
   * away for too long for one that may have missed deletions. By a commit, which tells whether this task still owns the partition.
   * Tried once: a log that takes nothing must not keep a task that has nothing to flush from its end.
   */
  async refresh(olderThanMs: number): Promise<void> {
    const { table, clock } = this.#options
    if (table === null || this.#isClosed || this.#isDirty || this.#flushing !== undefined) return
    if (this.#effects.leavingBytes > 0) return
    if (clock.wallTime() - table.meta.appliedAt < olderThanMs) return
    await this.#flush({ isOptional: true })
  }

  /** Resolves when the visit has ended, and what it did is stored or the task closed. One at a time, of a function with a table. */
  async visit(visit: Visit): Promise<void> {
    const { table } = this.#options
    this.#visit = visit
    // Then the store has what the table has by now.
    await this.#flushed()
    if (table !== null && this.#holds === 0 && !visit.isStopped && !this.#isClosed) {
      visit.begin(
        () => table.store.range(),
        () => this.#wake.set(),
      )
      this.#handling.visit(visit)
      await visit.over()
      await this.#flushed()
    }
    this.#visit = undefined
  }

  /** Gives up what a visit that was stopped has under way. */
  abandonVisit(): void {
    this.#handling.abandonVisit()
  }

  /** Ends at once: what is not flushed is dropped. Resolves when the last write has settled. */
  async close(): Promise<void> {
    this.#end()
    await this.#running
    await this.#flushing
    await this.#effects.close()
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      if (this.#holds > 0) {
        if (!this.#handling.isBusy) {
          this.#handling.dropVisit()
          if (this.#isDirty || this.#flushing !== undefined) {
            await this.#flush()
            continue
          }
          this.#settle()
        }
        await this.#wake.wait()
        continue
      }
      const step = this.#slice()
      if (typeof step === 'object') await step
      else if (step === 'yield') await turn()
      else if (step === 'full') await this.#flush()
      else {
        if (step === 'drained') this.#drained()
        await this.#wake.wait()
      }
    }
    this.#settle()
  }

  #slice(): Step {
    const { clock, flush } = this.#options
    let now = clock.now()
    const end = now + sliceMs
    for (let count = 1; ; count += 1) {
      if (count % clockEvery === 0) {
        now = clock.now()
        if (now >= end) return 'yield'
      }
      const aheadBytes = this.#handling.bytes + this.#effects.leavingBytes
      if (this.#effects.bytes + aheadBytes >= flush.maxBytes) {
        if (this.#flushing !== undefined) return 'full'
        this.#startFlush()
      }
      const step = this.#handling.advance(aheadBytes < flush.maxBytes)
      if (step !== undefined) return step
      if (this.#holds > 0 || this.#isClosed) return 'yield'
      if (
        this.#isDirty &&
        now - this.#dirtySince >= this.#intervalMs &&
        this.#flushing === undefined
      ) {
        this.#intervalMs = Math.min(this.#intervalMs * 2, flush.maxIntervalMs)
        this.#startFlush()
      }
    }
  }

  /** One record more that the next flush holds. */
  #count(attempt: Attempt | undefined, what: 'handled' | 'visited'): void {
    if (attempt !== undefined) this.#effects.count(attempt)
    if (what === 'handled') this.#records += 1
    if (this.#isDirty) return
    this.#isDirty = true
    this.#dirtySince = this.#options.clock.now()
    // For a handler that awaits, and for an input that dries up short of its known end.
    this.#callOffTimer ??= this.#options.clock.after(this.#intervalMs, () => {
      this.#callOffTimer = undefined
      this.#startFlush()
    })
  }

  #drained(): void {
    this.#intervalMs = this.#options.flush.intervalMs
    if (this.#isDirty) {
      if (!this.#handling.isRunning) this.#startFlush()
      // More will count in a moment: a flush for each would be many.
      else this.#callOffSoon ??= this.#options.clock.after(soonMs, () => this.#startFlush())
    }
    // Gaps and markers alone move the position without a flush.
    else if (this.#flushing === undefined) this.#publish()
  }

  #startFlush(): void {
    if (!this.#isDirty || this.#isClosed) return
    if (this.#flushing === undefined) void this.#flush()
    else this.#isFlushDue = true
  }

  /** Resolves when all that counts by now is stored, or the task is closed. */
  async #flushed(): Promise<void> {
    await this.#flushing
    // The next may have begun already: with all that counts.
    const isLeft = this.#isDirty || this.#flushing !== undefined
    if (isLeft && !this.#isClosed) await this.#flush()
  }

  /** Never rejects. Joins the flush in flight, if there is one. */
  #flush(how?: FlushKind): Promise<void> {
    this.#flushing ??= this.#flushOnce(how).finally(() => {
      this.#flushing = undefined
      const isDue = this.#isFlushDue
      this.#isFlushDue = false
      if (isDue) this.#startFlush()
      this.#wake.set()
    })
    return this.#flushing
  }

  async #flushOnce(how?: FlushKind): Promise<void> {
    this.#callOffTimers()
    const positions = this.#handling.positions()
    const records = this.#records
    const visit = this.#visit
    const visited = visit?.freeze()
    const frozen = {
      ...this.#effects.freeze(),
      positions: this.#inputs.map((input, index) =>
        positionIn(input, this.partition, positions[index]),
      ),
    }
    this.#isDirty = false
    // No position moves over a record whose outputs could still be lost.
    const result = (await this.#effects.left())
      ? await this.#flusher.flush(frozen, how)
      : ({ kind: 'abandoned' } as const)
    if (result.kind === 'stored' || result.kind === 'skipped') {
      this.#effects.settled()
      this.#options.publish(positions, records)
      if (visited !== undefined) visit?.settled(visited)
      return
    }
    // Fenced or refused it is not written.
    if (visited !== undefined && !unwritten.includes(result.kind)) visit?.doubted(visited)
    this.#lose(result.kind, 'cause' in result ? result.cause : undefined)
  }

  #lose(why: Loss, cause: unknown): void {
    const wasClosed = this.#isClosed
    this.#end()
    if (!wasClosed) this.#options.lost(why, cause)
  }

  #read(key: string): Held {
    const known = this.#effects.get(key)
    if (known !== undefined) return known
    const stored = this.#options.table?.store.get(Buffer.from(key)) ?? null
    this.#effects.learned(key, stored)
    return stored
  }

  #publish(): void {
    this.#options.publish(this.#handling.positions(), this.#records)
  }

  #callOffTimers(): void {
    this.#callOffTimer?.()
    this.#callOffTimer = undefined
    this.#callOffSoon?.()
    this.#callOffSoon = undefined
  }

  #settle(): void {
    this.#isSettled = true
    const waiters = this.#settledWaiters
    this.#settledWaiters = []
    for (const resolve of waiters) resolve()
  }

  #end(): void {
    this.#isClosed = true
    this.#callOffTimers()
    this.#flusher.close()
    void this.#effects.close()
    this.#handling.close()
    this.#wake.set()
    // After a failure of the loop itself nobody else would.
    this.#settle()
  }
}
