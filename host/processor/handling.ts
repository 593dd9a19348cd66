// Takes a task's records from its inputs, has the handler run on them, several keys at once if it may, and hands over in order what counts.
import type { LogRecord } from '../log/log.js'
import { backoffMs, type Clock } from './clock.js'
import { Attempt, type UserLog } from './context.js'
import { type Entry, InFlight } from './in-flight.js'
import { earliest, type InputBuffer, type RecordQueue } from './input.js'
import type { Held } from './overlay.js'
import { Pause } from './pause.js'
import type { Copied, Program } from './program.js'
import { type RecordFailure, type Run, Runner, type RunOutcome } from './runner.js'
import { type Visit, VisitedKey } from './visit.js'

export interface HandlingOptions {
  readonly partition: number
  readonly program: Program
  /** As in `program.edges.inputs`. */
  readonly inputs: readonly InputBuffer[]
  readonly clock: Clock
  readonly maxRecordBytes: number
  /** Records that may be taken from the inputs while one before them is not finished. */
  readonly maxUnfinished: number
  /** The table's value as far as it counts. Throws if the table cannot be read. */
  read(key: string): Held
  /** The value of another's table. Throws if it cannot be read. */
  copied(of: Copied, key: string): Buffer | undefined
  /** An attempt that nothing takes back any more, unless the whole task is; its record may not count yet. In its key's order. */
  succeeded(attempt: Attempt): void
  /** A record counts, as do all before it; `visited` is one of a visit. Undefined: it has no effects. */
  counted(attempt: Attempt | undefined, what: 'handled' | 'visited'): void
  /** Has to have the task held before it returns: else the record is tried for ever. */
  halted(failure: RecordFailure): void
  skipped(failure: RecordFailure): void
  /** The table could not be read; tried again. */
  unread(cause: unknown, attempt: number): void
  /** It cannot go on; `detached`: the table cannot be read. */
  lost(why: 'detached' | 'broken', cause: unknown): void
  /** An input has room again. */
  low(topic: string): void
  /** Something was finished or given up: `advance` may have something to do. */
  wake(): void
  log(attempt: Attempt): UserLog
}

/** `starved`: nothing to do until something comes, or is finished. A promise: nothing to do before it resolves. */
export type Advance = 'drained' | 'starved' | Promise<void> | undefined

// About two seconds of them.
const maxFailedReads = 10

export class Handling {
  readonly #options: HandlingOptions
  readonly #inputs: readonly InputBuffer[]
  readonly #runner: Runner
  readonly #inFlight: InFlight
  /** Of the record that is handled while none is in flight. */
  readonly #alone: Run = { attempts: 1, giveUp: undefined }
  readonly #pause: Pause
  /** Before the table is read again. */
  #readPause: Promise<unknown> | undefined
  #failedReads = 0
  /** Takes its turns with the inputs. */
  #visit: Visit | undefined
  #isVisitsTurn = false
  #isVisitAlone = false
  #isHeld = false
  #isClosed = false

  constructor(options: HandlingOptions) {
    const { partition, program, clock, maxRecordBytes, inputs } = options
    this.#options = options
    this.#inputs = inputs
    this.#inFlight = new InFlight(inputs.length + 1)
    this.#pause = new Pause(clock)
    this.#runner = new Runner({
      partition,
      program,
      clock,
      maxRecordBytes,
      read: (key) => this.#read(key),
      copied: (of, key) => options.copied(of, key),
      log: (attempt) => options.log(attempt),
    })
  }

  /** Only while held. */
  set program(program: Program) {
    const before = this.#runner.program.options.delivery
    this.#runner.program = program
    // Outputs that wait for a flush would be overtaken by those that leave at once from now on.
    if (before === 'exactly-once' && program.options.delivery !== before) {
      this.#inFlight.rewindFinished()
    }
  }

  /** Handlers run, or acknowledgements are waited for: a record boundary is not reached. */
  get isBusy(): boolean {
    return this.isRunning || this.#inFlight.deferred > 0
  }

  get isRunning(): boolean {
    return this.#inFlight.running > 0
  }

  /** Everything that was offered counts. */
  get isDone(): boolean {
    return this.#inFlight.size === 0 && this.#visit === undefined && this.isDrained
  }

  /** Everything that was offered is taken, and the log is known to have no more. */
  get isDrained(): boolean {
    return this.#inputs.every((input) => input.isDrained)
  }

  /** Of what is taken and does not count yet. */
  get bytes(): number {
    return this.#inFlight.bytes
  }

  /** For each input: everything below counts. */
  positions(): number[] {
    return this.#inputs.map(({ position }, input) => this.#inFlight.position(input) ?? position)
  }

  /** Handles a record, or takes one if it may; undefined: it may be called again at once. */
  advance(mayTake: boolean): Advance {
    const { concurrency } = this.#runner.program.options
    const inFlight = this.#inFlight
    if (this.#visit?.isOver) this.#leave(this.#visit)
    if (inFlight.size > 0) {
      if (inFlight.running >= concurrency) return 'starved'
      const entry = inFlight.take()
      if (entry !== undefined) {
        this.#begin(entry)
        return undefined
      }
      if (!mayTake || inFlight.size >= this.#options.maxUnfinished) return 'starved'
    }
    const queue = this.#next()
    const record = queue?.head
    if (queue === undefined || record === undefined) {
      return this.isDrained && this.#visit === undefined ? 'drained' : 'starved'
    }
    const source = this.#sourceOf(queue)
    if (inFlight.size > 0 || concurrency > 1) {
      this.#enter(queue, source, record)
      return undefined
    }
    // Nothing is kept of a record that is done before the next one is looked at.
    this.#alone.attempts = 1
    this.#isVisitAlone = record instanceof VisitedKey
    const outcome = this.#runner.run(source, record, record.keyText(), this.#alone)
    return outcome instanceof Promise
      ? outcome.then((settled) => this.#conclude(queue, source, record, settled))
      : this.#conclude(queue, source, record, outcome)
  }

  /** From now on its keys are taken, too; until it is left, which it is told. */
  visit(visit: Visit): void {
    this.#visit = visit
    this.#options.wake()
  }

  /** What it has taken and does not count is as if it had not been. */
  dropVisit(): void {
    if (this.#visit === undefined) return
    this.#inFlight.removeVisits()
    this.#visit.drop()
    this.#leave(this.#visit)
  }

  /** Nothing new is begun by itself, and pauses end; undone by `release`. */
  hold(): void {
    this.#isHeld = true
    this.#runner.interrupt()
    this.#pause.end()
  }

  release(): void {
    this.#isHeld = false
    this.#runner.release()
  }

  /** Gives up what runs or waits for acknowledgements; these records are handled anew. */
  abandon(): void {
    this.#runner.abandon()
    this.#inFlight.rewindDeferred()
    this.#options.wake()
  }

  /** Nothing counts any more. */
  close(): void {
    this.#isClosed = true
    this.#runner.abandon()
    this.#pause.end()
    this.#inFlight.abortDeferred()
    this.#visit?.drop()
  }

  /** Gives up what runs of a visit that was stopped, or waits for something. */
  abandonVisit(): void {
    // What comes of the one that is handled alone is looked at when it has come.
    if (this.#isVisitAlone && this.#alone.giveUp !== undefined) this.#alone.giveUp()
    else this.dropVisit()
  }

  #leave(visit: Visit): void {
    this.#visit = undefined
    visit.leave()
  }

  /** In turns, so that neither inputs nor a visit wait for the other's end. */
  #next(): RecordQueue | undefined {
    const input = this.#inputs.length === 1 ? this.#inputs[0] : earliest(this.#inputs)
    const visit = this.#visit
    if (visit?.head === undefined) return input
    this.#isVisitsTurn = !this.#isVisitsTurn
    return this.#isVisitsTurn || input?.head === undefined ? visit : input
  }

  #sourceOf(queue: RecordQueue): number {
    const queues: readonly RecordQueue[] = this.#inputs
    const input = queues.indexOf(queue)
    return input === -1 ? queues.length : input
  }

  /** Of a record that was handled alone. */
  #conclude(
    queue: RecordQueue,
    source: number,
    record: LogRecord,
    outcome: RunOutcome,
  ): Promise<void> | undefined {
    if (this.#isClosed || outcome === 'again') return undefined
    if (outcome instanceof Attempt && !isComplete(outcome)) {
      const entry = this.#enter(queue, source, record)
      entry.attempts = this.#alone.attempts
      this.#inFlight.take()
      this.#settle(entry, outcome)
    } else if (outcome instanceof Attempt || outcome === 'ignored') {
      this.#shift(queue)
      if (outcome === 'ignored') this.#ignored(record)
      else this.#options.succeeded(outcome)
      this.#count(record, outcome === 'ignored' ? undefined : outcome)
    } else if ('unreadable' in outcome) {
      return this.#unreadable(outcome.unreadable)
    } else if (this.#runner.program.options.onError === 'skip') {
      this.#skipped(record, outcome)
      this.#shift(queue)
      this.#count(record, undefined)
    } else if (record instanceof VisitedKey) {
      record.visit.fail(outcome, false)
    } else {
      this.#options.halted(outcome)
    }
    return undefined
  }

  #enter(queue: RecordQueue, source: number, record: LogRecord): Entry {
    const before = queue.position
    this.#shift(queue)
    const key = record.keyText()
    return this.#inFlight.add({ source, record, key, before, after: queue.position })
  }

  #ignored(record: LogRecord): void {
    if (record instanceof VisitedKey) record.fate = 'vanished'
  }

  #skipped(record: LogRecord, failure: RecordFailure): void {
    if (record instanceof VisitedKey) record.fate = 'failed'
    this.#options.skipped(failure)
  }

  #begin(entry: Entry): void {
    const { turn } = entry
    const outcome = this.#runner.run(entry.source, entry.record, entry.key, entry)
    if (outcome instanceof Promise) {
      // An acknowledgement from within the handler has given it up meanwhile.
      if (entry.turn !== turn) entry.giveUp?.()
      this.#follow(entry, outcome, turn)
    } else if (entry.turn === turn) this.#settle(entry, outcome)
  }

  #follow(entry: Entry, outcome: Promise<RunOutcome>, turn = entry.turn): void {
    outcome
      .then((settled) => {
        if (this.#isClosed || entry.turn !== turn) return
        this.#settle(entry, settled)
        this.#options.wake()
      })
      .catch((cause: unknown) => this.#options.lost('broken', cause))
  }

  /** Of a record in flight, which is counted as running. */
  #settle(entry: Entry, outcome: RunOutcome): void {
    const inFlight = this.#inFlight
    if (outcome instanceof Attempt) {
      inFlight.handled(entry, outcome, isComplete(outcome))
      if (!isComplete(outcome)) this.#await(entry, outcome)
    } else if (outcome === 'ignored') {
      this.#ignored(entry.record)
      inFlight.handled(entry, undefined, true)
    } else if (outcome === 'again') this.#putBack(entry, 1)
    else if ('unreadable' in outcome) {
      const pause = this.#unreadable(outcome.unreadable)
      this.#follow(
        entry,
        pause.then(() => 'again'),
      )
    } else if (this.#runner.program.options.onError === 'skip') {
      this.#skipped(entry.record, outcome)
      inFlight.handled(entry, undefined, true)
    } else if (entry.record instanceof VisitedKey) {
      inFlight.remove(entry)
      entry.record.visit.fail(outcome, true)
    } else {
      this.#putBack(entry, 1)
      this.#options.halted(outcome)
    }
    this.#finished(entry)
  }

  /** It counts when it is acknowledged. */
  #await(entry: Entry, attempt: Attempt): void {
    const { turn } = entry
    const deferral = Attempt.deferral(attempt)
    const acknowledged = (): void => {
      if (this.#isClosed || entry.turn !== turn) return
      const failure = deferral?.failure
      if (failure === undefined) {
        this.#inFlight.acknowledged(entry)
        this.#finished(entry)
      } else this.#refused(entry, attempt, failure.error)
      this.#options.wake()
    }
    // It may have failed between its handler's end and now.
    if (deferral?.isSettled) acknowledged()
    else deferral?.onSettled(acknowledged)
  }

  #refused(entry: Entry, attempt: Attempt, error: unknown): void {
    // What its key has done since rests on what it had set.
    const { record, attempts } = entry
    this.#inFlight.rewind(entry)
    this.#inFlight.start(entry)
    const pauseMs = this.#runner.next(record, attempt, error, attempts)
    if (typeof pauseMs !== 'number') this.#settle(entry, pauseMs)
    else if (this.#isHeld) this.#putBack(entry, attempts + 1)
    else void this.#tryLater(entry, pauseMs, attempts + 1)
  }

  /** Then it waits for its turn as any other: no more run at once than may. */
  async #tryLater(entry: Entry, pauseMs: number, attempts: number): Promise<void> {
    const { turn } = entry
    await this.#pause.wait(pauseMs, (end) => {
      entry.giveUp = end
    })
    if (this.#isClosed || entry.turn !== turn) return
    entry.giveUp = undefined
    this.#putBack(entry, attempts)
    this.#options.wake()
  }

  #putBack(entry: Entry, attempts: number): void {
    entry.attempts = attempts
    this.#inFlight.putBack(entry)
  }

  /** Perhaps it is, or one of its key that has waited for it. */
  #finished(entry: Entry): void {
    const inFlight = this.#inFlight
    for (let one = inFlight.nextFinal(entry); one; one = inFlight.nextFinal(entry)) {
      if (one.attempt !== undefined) this.#options.succeeded(one.attempt)
    }
    this.#retire()
  }

  #retire(): void {
    for (let entry = this.#inFlight.retire(); entry; entry = this.#inFlight.retire()) {
      this.#count(entry.record, entry.attempt)
    }
  }

  #count(record: LogRecord, attempt: Attempt | undefined): void {
    this.#failedReads = 0
    const isVisited = record instanceof VisitedKey
    if (isVisited) record.visit.count(record)
    this.#options.counted(attempt, isVisited ? 'visited' : 'handled')
  }

  #shift(queue: RecordQueue): void {
    const wasLow = queue.isLow
    queue.shift()
    if (!wasLow && queue.isLow) this.#options.low(queue.topic)
  }

  /** No fault of the record's: it is taken up again after a while, and after a few tries the table is opened anew. */
  async #unreadable(cause: unknown): Promise<void> {
    // Several keys at once find the same: it is one failure.
    if (this.#readPause !== undefined) {
      await this.#readPause
      return
    }
    this.#failedReads += 1
    if (this.#failedReads > maxFailedReads) {
      this.#options.lost('detached', cause)
      return
    }
    this.#options.unread(cause, this.#failedReads)
    if (this.#isHeld) return
    this.#readPause = this.#pause.wait(backoffMs(this.#failedReads, 10, 1_000)).finally(() => {
      this.#readPause = undefined
    })
    await this.#readPause
  }

  #read(key: string): Held {
    const ahead = this.#inFlight.size === 0 ? undefined : this.#inFlight.value(key)
    return ahead === undefined ? this.#options.read(key) : ahead
  }
}

/** Nothing of its own is missing. */
function isComplete(attempt: Attempt): boolean {
  const deferral = Attempt.deferral(attempt)
  return deferral === undefined || (deferral.isSettled && deferral.failure === undefined)
}
