// Runs the handler on one record: decodes, attempts, retries, and in the end says what is to be done with the record.
import type { KeyCodec } from '../../sdk/key.js'
import { HostError, type PlainError, toPlainError } from '../errors.js'
import type { LogRecord } from '../log/log.js'
import { backoffMs, type Clock } from './clock.js'
import { Attempt, type AttemptHost, Failure, type UserLog } from './context.js'
import type { Held } from './overlay.js'
import { Pause } from './pause.js'
import type { Copied, Program, Source } from './program.js'
import { reviveRecord } from './value.js'
import { VisitedKey } from './visit.js'

/** The record that could not be handled, and why. */
export interface RecordFailure {
  readonly error: PlainError
  readonly version: string
  readonly stream: string
  readonly partition: number
  readonly offset: number
  readonly key: string
  readonly attempts: number
}

/** The table could not be read: whatever the handler made of that, the record has to be handled anew. */
export interface Unreadable {
  readonly unreadable: unknown
}

/**
 * An `Attempt`: it succeeded, its effects count. `ignored`: the record has no effects, or its key is not there to be visited. `again`: it was interrupted, the record is
 * the next one again. A failure: all attempts that it has have failed.
 */
export type RunOutcome = Attempt | 'ignored' | 'again' | Unreadable | RecordFailure

/** One record that is being handled. */
export interface Run {
  /** Attempts made, the running one included. */
  attempts: number
  /** Gives up the attempt, or the pause before the next one: the outcome is `again`. Undefined: there is none. */
  giveUp: (() => void) | undefined
}

export interface RunnerOptions {
  readonly partition: number
  readonly program: Program
  readonly clock: Clock
  readonly maxRecordBytes: number
  read(key: string): Held
  copied(of: Copied, key: string): Buffer | undefined
  log(attempt: Attempt): UserLog
}

const maxBackoffMs = 60_000

export class Runner implements AttemptHost {
  readonly partition: number
  program: Program
  readonly #options: RunnerOptions
  readonly #pause: Pause
  /** Those whose handler has returned a promise. */
  readonly #awaited = new Set<() => void>()
  #isInterrupted = false

  constructor(options: RunnerOptions) {
    this.#options = options
    this.partition = options.partition
    this.program = options.program
    this.#pause = new Pause(options.clock)
  }

  get maxRecordBytes(): number {
    return this.#options.maxRecordBytes
  }

  read(key: string): Held {
    return this.#options.read(key)
  }

  copied(of: Copied, key: string): Buffer | undefined {
    return this.#options.copied(of, key)
  }

  log(attempt: Attempt): UserLog {
    return this.#options.log(attempt)
  }

  /** A promise only if the handler returned one, or failed. Never throws or rejects. */
  run(source: number, record: LogRecord, key: string, run: Run): RunOutcome | Promise<RunOutcome> {
    const { options, keys } = this.program
    const { codec, handler, stream } = this.#source(source, record)
    if (record instanceof VisitedKey) {
      try {
        if (this.read(key) === null) return 'ignored'
      } catch (unreadable) {
        return { unreadable }
      }
    }
    if (record.isTombstone && options.tombstones === 'ignore') return 'ignored'
    let decodedKey: unknown = key
    let value: unknown
    try {
      if (keys !== undefined) decodedKey = decodeKey(keys, key)
      // Anew for each attempt: the one before may have changed it.
      value =
        record.isTombstone && options.tombstones === 'process' ? null : reviveRecord(codec, record)
    } catch (cause) {
      const message = `${stream}, partition ${this.partition}, offset ${record.offset} (key "${key}") does not decode: ${messageOf(cause)}`
      const error = new HostError('UNDECODABLE', message, { cause })
      return this.#failure(stream, record, key, error, 1)
    }
    const attempt = new Attempt(this, stream, record, key, decodedKey)
    try {
      const returned = handler(attempt, value)
      if (isThenable(returned)) return this.#await(source, record, attempt, returned, run)
    } catch (error) {
      return this.#failed(source, record, attempt, error, run)
    }
    return this.#succeeded(source, record, attempt, run)
  }

  /** Ends the pauses between attempts, and begins none until `release`: the outcome is `again`. */
  interrupt(): void {
    this.#isInterrupted = true
    this.#pause.end()
  }

  release(): void {
    this.#isInterrupted = false
  }

  /** Gives the running attempts up as well. */
  abandon(): void {
    for (const giveUp of [...this.#awaited]) giveUp()
    this.interrupt()
  }

  async #await(
    source: number,
    record: LogRecord,
    attempt: Attempt,
    returned: PromiseLike<unknown>,
    run: Run,
  ): Promise<RunOutcome> {
    // No Promise.race with a promise that outlives the record: each race would leave a reaction behind.
    let giveUp = (): void => {}
    const ended = await new Promise<'done' | 'abandoned' | { error: unknown }>((resolve) => {
      giveUp = () => resolve('abandoned')
      run.giveUp = giveUp
      this.#awaited.add(giveUp)
      const failed = (error: unknown) => resolve({ error })
      try {
        returned.then(() => resolve('done'), failed)
      } catch (error) {
        failed(error)
      }
    })
    if (run.giveUp === giveUp) run.giveUp = undefined
    this.#awaited.delete(giveUp)
    if (ended === 'done') return await this.#succeeded(source, record, attempt, run)
    if (ended !== 'abandoned') return await this.#failed(source, record, attempt, ended.error, run)
    Attempt.abort(attempt)
    return 'again'
  }

  /** What becomes of a record whose attempt has failed, be it after its handler had returned: the pause before the next one, or the end. */
  next(
    record: LogRecord,
    attempt: Attempt,
    error: unknown,
    attempts: number,
  ): number | Unreadable | RecordFailure {
    const unreadable = Attempt.unreadable(attempt)
    if (unreadable !== undefined) return { unreadable }
    const { retry } = this.program.options
    if (!isFinal(error) && attempts < retry.attempts) {
      return backoffMs(attempts - 1, retry.backoffMs, maxBackoffMs)
    }
    return this.#failure(attempt.stream, record, Attempt.key(attempt), error, attempts)
  }

  async #failed(
    source: number,
    record: LogRecord,
    attempt: Attempt,
    error: unknown,
    run: Run,
  ): Promise<RunOutcome> {
    Attempt.end(attempt)
    const pauseMs = this.next(record, attempt, error, run.attempts)
    if (typeof pauseMs !== 'number') return pauseMs
    if (this.#isInterrupted) return 'again'
    if (run.attempts === 1 && this.program.retrying !== undefined) {
      const { stream } = attempt
      this.program.retrying(this.#failure(stream, record, Attempt.key(attempt), error, 1), pauseMs)
    }
    let giveUp: (() => void) | undefined
    const isOver = await this.#pause.wait(pauseMs, (end) => {
      giveUp = end
      run.giveUp = end
    })
    if (run.giveUp === giveUp) run.giveUp = undefined
    if (!isOver) return 'again'
    run.attempts += 1
    return await this.run(source, record, Attempt.key(attempt), run)
  }

  #succeeded(
    source: number,
    record: LogRecord,
    attempt: Attempt,
    run: Run,
  ): RunOutcome | Promise<RunOutcome> {
    Attempt.end(attempt)
    const failure = Attempt.deferral(attempt)?.failure
    if (failure !== undefined) return this.#failed(source, record, attempt, failure.error, run)
    // Caught by the handler, and taken for an absent key perhaps: it does not count all the same.
    const unreadable = Attempt.unreadable(attempt)
    return unreadable === undefined ? attempt : { unreadable }
  }

  #source(index: number, record: LogRecord): Source {
    if (record instanceof VisitedKey) return record.source
    const source = this.program.sources[index]
    if (source === undefined) throw new RangeError(`no input has the index ${index}`)
    return source
  }

  #failure(
    stream: string,
    record: LogRecord,
    key: string,
    error: unknown,
    attempts: number,
  ): RecordFailure {
    return {
      error: {
        ...toPlainError(error),
        ...(error instanceof Failure ? { code: 'RECORD_FAILED' } : {}),
      },
      version: this.program.version,
      stream,
      partition: this.partition,
      offset: record.offset,
      key,
      attempts,
    }
  }
}

/** The same again would end the same: the record was given up, or bytes do not decode. */
const isFinal = (error: unknown): boolean =>
  error instanceof Failure || (error instanceof HostError && error.code === 'UNDECODABLE')

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  )
}

function decodeKey(keys: KeyCodec<unknown>, key: string): unknown {
  try {
    return keys.decode(key)
  } catch (cause) {
    throw new Error(`the key: ${messageOf(cause)}`, { cause })
  }
}

const messageOf = (error: unknown): string => toPlainError(error).message
