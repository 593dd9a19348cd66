// The `ctx` of one attempt at one record: everything that it does is staged here until the attempt succeeds.
import { HostError } from '../errors.js'
import type { Header, LogRecord, RecordToAppend } from '../log/log.js'
import { partitionOf } from '../log/partitioner.js'
import type { Held } from './overlay.js'
import type { Program, Target } from './program.js'
import { snapshotBytes } from './value.js'

export interface EmitOptions {
  readonly headers?: Readonly<Record<string, string>>
  /** Milliseconds since 1970; default: that of the record being handled. */
  readonly timestamp?: number
  /** Default: by the hash of the key. */
  readonly partition?: number
}

export interface UserLog {
  debug(message: string, fields?: Record<string, unknown>): void
  info(message: string, fields?: Record<string, unknown>): void
  warn(message: string, fields?: Record<string, unknown>): void
  error(message: string, fields?: Record<string, unknown>): void
}

/** What an attempt needs of its task. */
export interface AttemptHost {
  readonly partition: number
  readonly program: Program
  /** The table's newest completed value. */
  read(key: string): Held
  /** Aborted when attempts are abandoned: on a drain that takes too long, a fence, a stop. */
  readonly signal: AbortSignal
  log(attempt: Attempt): UserLog
}

/** Thrown by `ctx.fail`: not retried. */
export class Failure extends Error {
  override readonly name = 'Failure'
}

export class Attempt {
  readonly key: string
  readonly #host: AttemptHost
  readonly #source: number
  readonly #record: LogRecord
  #staged: Held | undefined
  #emitted: RecordToAppend[] | undefined
  #isOver = false

  constructor(host: AttemptHost, source: number, record: LogRecord, key: string) {
    this.#host = host
    this.#source = source
    this.#record = record
    this.key = key
  }

  /** Ends the attempt: any later use throws. What it had set; undefined: nothing. */
  static end(attempt: Attempt): void {
    attempt.#isOver = true
  }

  static staged(attempt: Attempt): Held | undefined {
    return attempt.#staged
  }

  static emitted(attempt: Attempt): readonly RecordToAppend[] | undefined {
    return attempt.#emitted
  }

  get stream(): string {
    return this.#host.program.sources[this.#source]?.stream ?? ''
  }

  get partition(): number {
    return this.#host.partition
  }

  get offset(): number {
    return this.#record.offset
  }

  get timestamp(): number {
    return this.#record.timestamp
  }

  get headers(): Readonly<Record<string, string>> {
    return Object.fromEntries(
      this.#record.headers.map(([name, value]) => [name, value.toString('utf8')]),
    )
  }

  get signal(): AbortSignal {
    return this.#host.signal
  }

  get log(): UserLog {
    return this.#host.log(this)
  }

  get(): unknown {
    const codec = this.#table('get')
    const held = this.#staged === undefined ? this.#host.read(this.key) : this.#staged
    return held === null ? undefined : codec.revive(held)
  }

  set(value: unknown): void {
    const codec = this.#table('set')
    if (value === null || value === undefined) {
      throw new TypeError(`ctx.set(${value}) for key "${this.key}": use ctx.delete() to remove it`)
    }
    this.#staged = codec.snapshot(value)
  }

  delete(): void {
    this.#table('delete')
    this.#staged = null
  }

  emit(stream: string, key: string, value: unknown, options?: EmitOptions): void {
    this.#alive('emit')
    const target = this.#host.program.targets.get(stream)
    if (target === undefined) {
      const declared = [...this.#host.program.targets.keys()].join(', ') || 'none'
      throw new TypeError(
        `ctx.emit("${stream}", …): the stream is not in this function's outputs (declared: ${declared})`,
      )
    }
    this.#stage(target, `emit("${stream}")`, key, value, options)
  }

  loopback(key: string, value: unknown): void {
    this.#alive('loopback')
    const { loop } = this.#host.program
    if (loop === null) throw new TypeError('ctx.loopback: this function declares no loop')
    this.#stage(loop, 'loopback', key, value)
  }

  fail(reason: unknown): never {
    this.#alive('fail')
    throw reason instanceof Error
      ? new Failure(reason.message, { cause: reason })
      : new Failure(String(reason))
  }

  #stage(target: Target, call: string, key: string, value: unknown, options?: EmitOptions): void {
    if (typeof key !== 'string') throw new TypeError(`ctx.${call}: the key is no string`)
    const keyBytes = Buffer.from(key)
    const partition = options?.partition ?? partitionOf(keyBytes, target.partitions)
    if (!Number.isInteger(partition) || partition < 0 || partition >= target.partitions) {
      throw new RangeError(
        `ctx.${call}: partition ${partition} does not exist, ${target.topic} has ${target.partitions}`,
      )
    }
    const timestamp = options?.timestamp ?? this.#record.timestamp
    if (!Number.isSafeInteger(timestamp) || timestamp < 0) {
      throw new RangeError(`ctx.${call}: timestamp ${timestamp} is no time in ms since 1970`)
    }
    const headers = options?.headers
    this.#emitted ??= []
    this.#emitted.push({
      topic: target.topic,
      partition,
      key: keyBytes,
      value: value === null ? null : snapshotBytes(target.codec.snapshot(value)),
      timestamp,
      ...(headers === undefined ? {} : { headers: toHeaders(headers) }),
    })
  }

  #table(call: string) {
    this.#alive(call)
    const { table } = this.#host.program
    if (table === null) throw new TypeError(`ctx.${call}: this function declares no table`)
    return table
  }

  #alive(call: string): void {
    if (!this.#isOver) return
    throw new HostError(
      'MISUSED_CONTEXT',
      `ctx.${call} was called after its record was done with (key "${this.key}", offset ${this.#record.offset}): await what you start in the handler`,
    )
  }
}

function toHeaders(headers: Readonly<Record<string, string>>): Header[] {
  return Object.entries(headers).map(([name, value]) => [name, Buffer.from(String(value))])
}
