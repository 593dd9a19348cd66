// Runs the handler on one record: decodes, attempts, retries, and in the end says what is to be done with the record.
import { HostError, type PlainError, toPlainError } from '../errors.js'
import type { LogRecord } from '../log/log.js'
import { backoffMs, type Clock } from './clock.js'
import { Attempt, type AttemptHost, Failure, type UserLog } from './context.js'
import type { Held } from './overlay.js'
import { Pause } from './pause.js'
import type { Program } from './program.js'

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
 * An `Attempt`: it succeeded, its effects count. `ignored`: the record has no effects. `again`: it was interrupted, the record is
 * the next one again. A failure: all attempts that it has have failed.
 */
export type RunOutcome = Attempt | 'ignored' | 'again' | Unreadable | RecordFailure

export interface RunnerOptions {
  readonly partition: number
  readonly program: Program
  readonly clock: Clock
  readonly maxRecordBytes: number
  read(key: string): Held
  log(attempt: Attempt): UserLog
}

const maxBackoffMs = 60_000
const emptyBytes = Buffer.alloc(0)

export class Runner implements AttemptHost {
  readonly partition: number
  program: Program
  readonly #options: RunnerOptions
  readonly #pause: Pause
  #abandonAttempt: (() => void) | undefined

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

  log(attempt: Attempt): UserLog {
    return this.#options.log(attempt)
  }

  /** A promise only if the handler returned one, or failed. Never throws or rejects. */
  run(source: number, record: LogRecord, attempts = 1): RunOutcome | Promise<RunOutcome> {
    const { sources, options } = this.program
    const { codec, handler, stream } = sources[source] ?? missingSource(source)
    if (record.value === null && options.tombstones === 'ignore') return 'ignored'
    const key = record.key === null ? '' : record.key.toString('utf8')
    let value: unknown
    try {
      // Anew for each attempt: the one before may have changed it.
      value =
        record.value === null && options.tombstones === 'process'
          ? null
          : codec.revive(record.value ?? emptyBytes)
    } catch (cause) {
      const message = `${stream}, partition ${this.partition}, offset ${record.offset} (key "${key}") does not decode: ${messageOf(cause)}`
      return this.#failure(stream, record, key, new HostError('UNDECODABLE', message, { cause }), 1)
    }
    const attempt = new Attempt(this, source, record, key)
    try {
      const returned = handler(attempt, value)
      if (isThenable(returned)) return this.#awaited(source, record, attempt, returned, attempts)
    } catch (error) {
      return this.#failed(source, record, attempt, error, attempts)
    }
    return succeeded(attempt)
  }

  /** Ends a pause between attempts: the outcome is `again`. */
  interrupt(): void {
    this.#pause.end()
  }

  /** Gives the running attempt up as well. */
  abandon(): void {
    this.#abandonAttempt?.()
    this.interrupt()
  }

  async #awaited(
    source: number,
    record: LogRecord,
    attempt: Attempt,
    returned: PromiseLike<unknown>,
    attempts: number,
  ): Promise<RunOutcome> {
    // No Promise.race with a promise that outlives the record: each race would leave a reaction behind.
    const ended = await new Promise<'done' | 'abandoned' | { error: unknown }>((resolve) => {
      this.#abandonAttempt = () => resolve('abandoned')
      const failed = (error: unknown) => resolve({ error })
      try {
        returned.then(() => resolve('done'), failed)
      } catch (error) {
        failed(error)
      }
    })
    this.#abandonAttempt = undefined
    if (ended === 'done') return succeeded(attempt)
    if (ended !== 'abandoned') {
      return await this.#failed(source, record, attempt, ended.error, attempts)
    }
    Attempt.abort(attempt)
    return 'again'
  }

  async #failed(
    source: number,
    record: LogRecord,
    attempt: Attempt,
    error: unknown,
    attempts: number,
  ): Promise<RunOutcome> {
    Attempt.end(attempt)
    const unreadable = Attempt.unreadable(attempt)
    if (unreadable !== undefined) return { unreadable }
    const { retry } = this.program.options
    if (isFinal(error) || attempts >= retry.attempts) {
      const stream = this.program.sources[source]?.stream ?? ''
      return this.#failure(stream, record, attempt.key, error, attempts)
    }
    const isOver = await this.#pause.wait(backoffMs(attempts - 1, retry.backoffMs, maxBackoffMs))
    return isOver ? await this.run(source, record, attempts + 1) : 'again'
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

function succeeded(attempt: Attempt): Attempt | Unreadable {
  Attempt.end(attempt)
  // Caught by the handler, and taken for an absent key perhaps: it does not count all the same.
  const unreadable = Attempt.unreadable(attempt)
  return unreadable === undefined ? attempt : { unreadable }
}

/** The same again would end the same: the record was given up, or bytes do not decode. */
const isFinal = (error: unknown): boolean =>
  error instanceof Failure || (error instanceof HostError && error.code === 'UNDECODABLE')

function missingSource(index: number): never {
  throw new RangeError(`no input has the index ${index}`)
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  )
}

const messageOf = (error: unknown): string => toPlainError(error).message
