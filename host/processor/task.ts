// One partition of one function: takes its records in order, has the handler run on each, and flushes what that did.
import type { Batch, LogWriter, RecordToAppend } from '../log/log.js'
import { backoffMs, type Clock } from './clock.js'
import { Attempt, type UserLog } from './context.js'
import { Flusher, type FlushResult, type TablePartition } from './flush.js'
import { earliest, type InputBuffer } from './input.js'
import { type Held, Overlay } from './overlay.js'
import { Pause } from './pause.js'
import type { Program } from './program.js'
import { type RecordFailure, Runner, type RunOutcome } from './runner.js'
import { Signal } from './signal.js'

export interface FlushLimits {
  /** A flush is made after this long, or at once when the input is drained. */
  readonly intervalMs: number
  /** As far as the interval is stretched while records keep coming. */
  readonly maxIntervalMs: number
  /** Of what waits for a flush; more makes the task wait. */
  readonly maxBytes: number
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
  retried(what: 'commit' | 'store' | 'read', cause: unknown, attempt: number): void
  log(attempt: Attempt): UserLog
}

/** `broken`: the task itself has failed, which is a defect. */
export type Loss = Exclude<FlushResult['kind'], 'stored'> | 'broken'

type Step = 'drained' | 'starved' | 'full' | 'yield' | Promise<void>

// Long enough to be worth the turn of the event loop, short enough for messages to get in between.
const sliceMs = 8
const clockEvery = 64
const outputOverheadBytes = 64
// About two seconds of them.
const maxFailedReads = 10

export class Task {
  readonly partition: number
  readonly #options: TaskOptions
  readonly #inputs: readonly InputBuffer[]
  readonly #overlay: Overlay
  readonly #runner: Runner
  readonly #flusher: Flusher
  readonly #wake = new Signal()
  #outputs: RecordToAppend[] = []
  #outputBytes = 0
  #records: number
  #failedReads = 0
  readonly #readPause: Pause
  /** Records were completed since the last freeze. */
  #isDirty = false
  #dirtySince = 0
  #intervalMs: number
  #callOffTimer: (() => void) | undefined
  #flushing: Promise<void> | undefined
  #isFlushDue = false
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
    this.#overlay = new Overlay(options.cacheBytes)
    this.#readPause = new Pause(clock)
    this.#runner = new Runner({
      partition,
      program,
      clock,
      maxRecordBytes: options.maxRecordBytes,
      read: (key) => this.#read(key),
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
    return !this.#isDirty && this.#flushing === undefined && this.#isDrained()
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

  /** Stops at the next record boundary; resolves when all that was done is flushed and stored. Undone by `release`. */
  async hold(): Promise<void> {
    this.#holds += 1
    this.#runner.interrupt()
    this.#readPause.end()
    this.#wake.set()
    if (this.#isSettled || this.#isClosed) return
    await new Promise<void>((resolve) => this.#settledWaiters.push(resolve))
  }

  release(): void {
    this.#holds -= 1
    if (this.#holds === 0) this.#isSettled = false
    this.#wake.set()
  }

  /** Gives up the running attempt; its record is the next one again. */
  abandon(): void {
    this.#runner.abandon()
  }

  /** Only while held. */
  replace(program: Program): void {
    this.#runner.program = program
  }

  /** Ends at once: what is not flushed is dropped. Resolves when the last write has settled. */
  async close(): Promise<void> {
    this.#end()
    await this.#running
    await this.#flushing
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      if (this.#holds > 0) {
        if (this.#isDirty || this.#flushing !== undefined) {
          await this.#flush()
          continue
        }
        this.#settle()
        await this.#wake.wait()
        continue
      }
      const step = this.#slice()
      if (typeof step === 'object') await step
      else if (step === 'yield') await new Promise((resolve) => setImmediate(resolve))
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
      if (this.#overlay.changedBytes + this.#outputBytes >= flush.maxBytes) {
        if (this.#flushing !== undefined) return 'full'
        this.#startFlush()
      }
      const input = this.#next()
      const record = input?.head
      if (input === undefined || record === undefined) {
        return this.#isDrained() ? 'drained' : 'starved'
      }
      const outcome = this.#runner.run(this.#inputs.indexOf(input), record)
      if (outcome instanceof Promise)
        return outcome.then((settled) => this.#conclude(input, settled))
      const pause = this.#conclude(input, outcome)
      if (pause !== undefined) return pause
      if (this.#holds > 0 || this.#isClosed) return 'yield'
      if (now - this.#dirtySince >= this.#intervalMs && this.#flushing === undefined) {
        this.#intervalMs = Math.min(this.#intervalMs * 2, flush.maxIntervalMs)
        this.#startFlush()
      }
    }
  }

  #next(): InputBuffer | undefined {
    return this.#inputs.length === 1 ? this.#inputs[0] : earliest(this.#inputs)
  }

  /** A promise only if there is something to wait for before the next record. */
  #conclude(input: InputBuffer, outcome: RunOutcome): Promise<void> | undefined {
    if (this.#isClosed || outcome === 'again') return undefined
    if (outcome === 'ignored') this.#complete(input)
    else if (outcome instanceof Attempt) {
      this.#take(outcome)
      this.#complete(input)
    } else if ('unreadable' in outcome) {
      return this.#unreadable(outcome.unreadable)
    } else if (this.#runner.program.options.onError === 'skip') {
      this.#options.skipped(outcome)
      this.#complete(input)
    } else {
      this.#options.halted(outcome)
    }
    return undefined
  }

  /** No fault of the record's: it is taken up again after a while, and after a few tries the table is opened anew. */
  async #unreadable(cause: unknown): Promise<void> {
    this.#failedReads += 1
    if (this.#failedReads > maxFailedReads) {
      this.#lose('detached', cause)
      return
    }
    this.#options.retried('read', cause, this.#failedReads)
    await this.#readPause.wait(backoffMs(this.#failedReads, 10, 1_000))
  }

  #take(attempt: Attempt): void {
    const staged = Attempt.staged(attempt)
    if (staged !== undefined) this.#overlay.set(attempt.key, staged)
    const emitted = Attempt.emitted(attempt)
    if (emitted === undefined) return
    for (const record of emitted) {
      this.#outputs.push(record)
      this.#outputBytes += sizeOf(record)
    }
  }

  #complete(input: InputBuffer): void {
    const wasLow = input.isLow
    input.shift()
    this.#records += 1
    this.#failedReads = 0
    if (!wasLow && input.isLow) this.#options.low(input.topic)
    if (this.#isDirty) return
    this.#isDirty = true
    this.#dirtySince = this.#options.clock.now()
    // For a handler that awaits, and for an input that dries up short of its known end.
    this.#callOffTimer ??= this.#options.clock.after(this.#intervalMs, () => {
      this.#callOffTimer = undefined
      this.#startFlush()
    })
  }

  #isDrained(): boolean {
    return this.#inputs.every((input) => input.isDrained)
  }

  #drained(): void {
    this.#intervalMs = this.#options.flush.intervalMs
    if (this.#isDirty) this.#startFlush()
    // Gaps and markers alone move the position without a flush.
    else if (this.#flushing === undefined) this.#publish()
  }

  #startFlush(): void {
    if (!this.#isDirty || this.#isClosed) return
    if (this.#flushing === undefined) void this.#flush()
    else this.#isFlushDue = true
  }

  /** Never rejects. Joins the flush in flight, if there is one. */
  #flush(): Promise<void> {
    this.#flushing ??= this.#flushOnce().finally(() => {
      this.#flushing = undefined
      const isDue = this.#isFlushDue
      this.#isFlushDue = false
      if (isDue) this.#startFlush()
      this.#wake.set()
    })
    return this.#flushing
  }

  async #flushOnce(): Promise<void> {
    this.#callOffTimer?.()
    this.#callOffTimer = undefined
    const positions = this.#inputs.map(({ position }) => position)
    const records = this.#records
    const frozen = {
      outputs: this.#outputs,
      changes: this.#overlay.freeze(),
      positions: this.#inputs.map(({ topic, position }) => ({
        topic,
        partition: this.partition,
        offset: position,
      })),
    }
    this.#outputs = []
    this.#outputBytes = 0
    this.#isDirty = false
    const result = await this.#flusher.flush(frozen)
    if (result.kind === 'stored') {
      this.#overlay.settled()
      this.#options.publish(positions, records)
      return
    }
    this.#lose(result.kind, 'cause' in result ? result.cause : undefined)
  }

  #lose(why: Loss, cause: unknown): void {
    const wasClosed = this.#isClosed
    this.#end()
    if (!wasClosed) this.#options.lost(why, cause)
  }

  #read(key: string): Held {
    const known = this.#overlay.get(key)
    if (known !== undefined) return known
    const stored = this.#options.table?.store.get(Buffer.from(key)) ?? null
    this.#overlay.learned(key, stored)
    return stored
  }

  #publish(): void {
    this.#options.publish(
      this.#inputs.map(({ position }) => position),
      this.#records,
    )
  }

  #settle(): void {
    this.#isSettled = true
    const waiters = this.#settledWaiters
    this.#settledWaiters = []
    for (const resolve of waiters) resolve()
  }

  #end(): void {
    this.#isClosed = true
    this.#callOffTimer?.()
    this.#callOffTimer = undefined
    this.#flusher.close()
    this.#runner.abandon()
    this.#readPause.end()
    this.#wake.set()
    // After a failure of the loop itself nobody else would.
    this.#settle()
  }
}

function sizeOf({ key, value, headers = [] }: RecordToAppend): number {
  let bytes = outputOverheadBytes + (key?.length ?? 0) + (value?.length ?? 0)
  for (const [name, content] of headers) bytes += name.length + content.length
  return bytes
}
