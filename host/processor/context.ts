// The `ctx` of one attempt at one record: everything that it does is staged here until the attempt succeeds.
import type { KeyCodec } from '../../sdk/key.js'
import { HostError, toPlainError } from '../errors.js'
import { recordBytes } from '../log/limits.js'
import type { LogRecord, RecordToAppend } from '../log/log.js'
import { partitionOf } from '../log/partitioner.js'
import { Deferral } from './deferral.js'
import { headersAsText, headersOf } from './headers.js'
import type { Held } from './overlay.js'
import type { Copied, Program, Target } from './program.js'
import { type Snapshot, snapshotBytes, type ValueCodec } from './value.js'

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

// What a record costs besides its bytes, roughly.
const recordOverheadBytes = 64

/** What an attempt needs of its task. */
export interface AttemptHost {
  readonly partition: number
  readonly program: Program
  /** Of a record that is emitted or set, key, value and headers together. */
  readonly maxRecordBytes: number
  /** The table's newest completed value. Throws if the table cannot be read. */
  read(key: string): Held
  /** So too the value of another's table; undefined: it has none. */
  copied(of: Copied, key: string): Buffer | undefined
  log(attempt: Attempt): UserLog
}

/** Thrown by `ctx.fail`: not retried. */
export class Failure extends Error {
  override readonly name = 'Failure'
}

export class Attempt {
  readonly key: unknown
  readonly stream: string
  readonly #host: AttemptHost
  readonly #record: LogRecord
  /** As the log has it. */
  readonly #key: string
  #staged: Held | undefined
  #emitted: RecordToAppend[] | undefined
  #emittedBytes = 0
  #deferral: Deferral | undefined
  #abort: AbortController | undefined
  #unreadable: unknown
  #isOver = false

  /** `decoded`: the key as the handler has it. */
  constructor(host: AttemptHost, stream: string, record: LogRecord, key: string, decoded: unknown) {
    this.#host = host
    this.stream = stream
    this.#record = record
    this.#key = key
    this.key = decoded
  }

  /** The key as the log has it, as text. */
  static key(attempt: Attempt): string {
    return attempt.#key
  }

  /** Any later use throws. */
  static end(attempt: Attempt): void {
    attempt.#isOver = true
  }

  /** Tells user code that is still at it that nobody waits any more. */
  static abort(attempt: Attempt): void {
    attempt.#isOver = true
    attempt.#abort?.abort(
      new HostError('STOPPING', 'this attempt was given up; its record will be handled anew'),
    )
  }

  /** Why the table could not be read: no fault of the handler's, whatever it made of it. Undefined: it could. */
  static unreadable(attempt: Attempt): unknown {
    return attempt.#unreadable
  }

  /** What it had set; null: deleted; undefined: nothing. */
  static staged(attempt: Attempt): Held | undefined {
    return attempt.#staged
  }

  static emitted(attempt: Attempt): readonly RecordToAppend[] | undefined {
    return attempt.#emitted
  }

  /** Takes out of what it has emitted what leaves by itself; the rest counts with it. */
  static release(
    attempt: Attempt,
    leaves: (record: RecordToAppend) => boolean,
  ): readonly RecordToAppend[] {
    const emitted = attempt.#emitted ?? []
    const leaving = emitted.filter(leaves)
    if (leaving.length === 0) return leaving
    attempt.#emitted = emitted.filter((record) => !leaves(record))
    attempt.#emittedBytes -= leaving.reduce((sum, record) => sum + heldBytes(record), 0)
    return leaving
  }

  static emittedBytes(attempt: Attempt): number {
    return attempt.#emittedBytes
  }

  /** Of what it has set and emitted, about. */
  static bytes(attempt: Attempt): number {
    const staged = attempt.#staged
    const setBytes = staged === undefined ? 0 : attempt.#key.length + (staged?.length ?? 0)
    return recordOverheadBytes + setBytes + attempt.#emittedBytes
  }

  /** The acknowledgements that it waits for; undefined: none. */
  static deferral(attempt: Attempt): Deferral | undefined {
    return attempt.#deferral
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
    return headersAsText(this.#record.headers)
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    return this.#abort.signal
  }

  get log(): UserLog {
    return this.#host.log(this)
  }

  get(): unknown {
    const codec = this.#table('get')
    const held = this.#staged === undefined ? this.#read() : this.#staged
    if (held === null) return undefined
    try {
      return codec.revive(held)
    } catch (cause) {
      const message = `the stored value of "${this.#key}" does not decode: ${toPlainError(cause).message}`
      throw new HostError('UNDECODABLE', message, { cause })
    }
  }

  set(value: unknown): void {
    const codec = this.#table('set')
    if (value === null || value === undefined) {
      throw new TypeError(`ctx.set(${value}) for key "${this.#key}": use ctx.delete() to remove it`)
    }
    const snapshot = encode(codec, 'set', this.#key, value)
    this.#fits('set', this.#key.length * 3, sizeOf(snapshot, this.#host.maxRecordBytes))
    this.#staged = snapshot
  }

  delete(): void {
    this.#table('delete')
    this.#staged = null
  }

  /** The value that a joined table has for this record's key; undefined: none. */
  join(table: string): unknown {
    this.#alive('join')
    const found = this.#host.program.joins.get(table)
    if (found === undefined) throw undeclared('join', 'joins', table, this.#host.program.joins)
    return this.#copied(found, this.#key)
  }

  /** The value that a looked-up table has for any key; undefined: none. */
  lookup(table: string, key: unknown): unknown {
    this.#alive('lookup')
    const found = this.#host.program.lookups.get(table)
    if (found === undefined)
      throw undeclared('lookup', 'lookups', table, this.#host.program.lookups)
    return this.#copied(found, keyText(found.keys, `lookup("${table}")`, key))
  }

  emit(stream: string, key: unknown, value: unknown, options?: EmitOptions): void {
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

  loopback(key: unknown, value: unknown): void {
    this.#alive('loopback')
    const { loop } = this.#host.program
    if (loop === null) throw new TypeError('ctx.loopback: this function declares no loop')
    this.#stage(loop, 'loopback', key, value)
  }

  defer(): (error?: unknown) => void {
    this.#alive('defer')
    this.#deferral ??= new Deferral()
    return this.#deferral.add()
  }

  fail(reason: unknown): never {
    this.#alive('fail')
    throw reason instanceof Error
      ? new Failure(reason.message, { cause: reason })
      : new Failure(String(reason))
  }

  #stage(
    target: Target,
    call: string,
    given: unknown,
    value: unknown,
    options?: EmitOptions,
  ): void {
    const key = keyText(target.keys, call, given)
    const keyBytes = Buffer.from(key)
    const partition = options?.partition ?? partitionOf(keyBytes, target.partitions, target.hasher)
    if (!Number.isInteger(partition) || partition < 0 || partition >= target.partitions) {
      throw new RangeError(
        `ctx.${call}: partition ${partition} does not exist, ${target.topic} has ${target.partitions}`,
      )
    }
    const timestamp = options?.timestamp ?? this.#record.timestamp
    if (!Number.isSafeInteger(timestamp) || timestamp < 0) {
      throw new RangeError(`ctx.${call}: timestamp ${timestamp} is no time in ms since 1970`)
    }
    const headers = headersOf(call, this.#host.program.headers, options?.headers)
    const bytes = value === null ? null : snapshotBytes(encode(target.codec, call, key, value))
    const headerBytes = headers.reduce(
      (sum, [name, content]) => sum + name.length * 3 + content.length,
      0,
    )
    this.#fits(call, keyBytes.length + headerBytes, bytes?.length ?? 0)
    this.#emitted ??= []
    const record: RecordToAppend = {
      topic: target.topic,
      partition,
      key: keyBytes,
      value: bytes,
      timestamp,
      ...(headers.length === 0 ? {} : { headers }),
    }
    this.#emittedBytes += heldBytes(record)
    this.#emitted.push(record)
  }

  #copied(of: Copied, key: string): unknown {
    let found: Buffer | undefined
    try {
      found = this.#host.copied(of, key)
    } catch (error) {
      this.#unreadable = error
      throw error
    }
    if (found === undefined) return undefined
    try {
      return of.codec.revive(found)
    } catch (cause) {
      const message = `the value of "${key}" in the table ${of.table} does not decode: ${toPlainError(cause).message}`
      throw new HostError('UNDECODABLE', message, { cause })
    }
  }

  #read(): Held {
    try {
      return this.#host.read(this.#key)
    } catch (error) {
      this.#unreadable = error
      throw error
    }
  }

  #fits(call: string, besidesBytes: number, valueBytes: number): void {
    const { maxRecordBytes } = this.#host
    if (besidesBytes + valueBytes <= maxRecordBytes) return
    throw new RangeError(
      `ctx.${call}: the record has ${besidesBytes + valueBytes} bytes, ${maxRecordBytes} are allowed (log.maxRecordBytes): split the value over several keys, or raise the limit`,
    )
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
      `ctx.${call} was called after its record was done with (key "${this.#key}", offset ${this.#record.offset}): await what you start in the handler`,
    )
  }
}

/** Throws UNENCODABLE for a key that its codec does not take. */
function keyText(keys: KeyCodec<unknown> | undefined, call: string, key: unknown): string {
  let text: unknown = key
  if (keys !== undefined) {
    try {
      text = keys.encode(key)
    } catch (cause) {
      const message = `ctx.${call}: the key is not taken: ${toPlainError(cause).message}`
      throw new HostError('UNENCODABLE', message, { cause })
    }
  }
  if (typeof text === 'string') return text
  const what = keys === undefined ? 'the key' : 'what its codec makes of the key'
  throw new TypeError(`ctx.${call}: ${what} is no string`)
}

function undeclared(
  call: string,
  where: string,
  table: string,
  declared: ReadonlyMap<string, unknown>,
): TypeError {
  const names = [...declared.keys()].join(', ') || 'none'
  return new TypeError(
    `ctx.${call}("${table}"): the table is not in this function's ${where} (declared: ${names})`,
  )
}

/** Of a record that waits to be written, about. */
export const heldBytes = (record: RecordToAppend): number =>
  recordOverheadBytes + recordBytes(record)

function encode(codec: ValueCodec, call: string, key: string, value: unknown): Snapshot {
  try {
    return codec.snapshot(value)
  } catch (cause) {
    const message = `ctx.${call}, key "${key}": the value is not taken: ${toPlainError(cause).message}`
    throw new HostError('UNENCODABLE', message, { cause })
  }
}

/** Exact only where it matters: counting the bytes of a text costs as much as making them. */
function sizeOf(snapshot: Snapshot, limit: number): number {
  if (snapshot.length * 3 < limit || Buffer.isBuffer(snapshot)) return snapshot.length
  return snapshotBytes(snapshot).length
}
