// One version of a view, ready to run: what each record of its table's topic changes in the copy.
import type { Codec, CodecKind } from '../../sdk/codec.js'
import { HostError, toPlainError } from '../errors.js'
import type { Batch, LogRecord } from '../log/log.js'
import { type Applied, type Apply, putAll } from '../tables/recovery.js'
import type { Change, PartitionStore } from '../tables/store.js'
import type { UserLog } from './context.js'
import { headersAsText } from './headers.js'
import type { Edges } from './program.js'
import type { RecordFailure } from './runner.js'
import { reviveRecord, type Snapshot, snapshotBytes, type ValueCodec, valueCodec } from './value.js'

type MarkedCodec = Codec<unknown> & { readonly kind?: CodecKind }

/** The part of a definition that is run; its shape was checked in the probe. */
export interface RunnableView {
  readonly codec: MarkedCodec
  readonly stored?: MarkedCodec
  readonly update?: (ctx: UpdateContext, value: unknown) => unknown
}

export interface ViewProgram {
  readonly kind: 'view'
  readonly version: string
  readonly edges: Edges
  readonly apply: Apply
}

/** Where a record lies, for the lines that user code logs. */
export interface RecordAt {
  readonly stream: string
  readonly partition: number
  readonly offset: number
  readonly key: string
}

export interface ViewProgramOptions {
  readonly definition: RunnableView
  readonly edges: Edges
  readonly version: string
  log(at: RecordAt): UserLog
}

export function createViewProgram(options: ViewProgramOptions): ViewProgram {
  const { definition, edges, version } = options
  const { update, codec, stored = codec } = definition
  const apply = update === undefined ? putAll : updating(options, update, valueCodec(stored))
  return { kind: 'view', version, edges, apply }
}

function updating(
  { definition, edges, version, log }: ViewProgramOptions,
  update: NonNullable<RunnableView['update']>,
  stored: ValueCodec,
): Apply {
  const codec = valueCodec(definition.codec)
  return (batch, store) => {
    const staged = new Staged(store, stored)
    for (const record of batch.records) {
      if (record.key === null) continue
      const ctx = new UpdateContext(batch.partition, record, staged, (at) =>
        log({ stream: batch.topic, ...at }),
      )
      try {
        assertSynchronous(update(ctx, record.isTombstone ? null : decoded(codec, record)))
      } catch (thrown) {
        if (staged.unreadable !== undefined) throw staged.unreadable
        const failure = failed(edges.function, version, batch, record, thrown)
        return { changes: staged.changes(), next: record.offset, failure }
      } finally {
        UpdateContext.end(ctx)
      }
      // Whatever the update made of that.
      if (staged.unreadable !== undefined) throw staged.unreadable
      staged.keep(ctx)
    }
    return { changes: staged.changes(), next: batch.next } satisfies Applied
  }
}

function decoded(codec: ValueCodec, record: LogRecord): unknown {
  try {
    return reviveRecord(codec, record)
  } catch (cause) {
    const message = `the value of "${record.keyText()}" does not decode: ${toPlainError(cause).message}`
    throw new HostError('UNDECODABLE', message, { cause })
  }
}

function assertSynchronous(returned: unknown): void {
  if (!(returned instanceof Promise)) return
  // Nobody waits for it: its rejection must not end the thread.
  returned.catch(() => {})
  throw new TypeError('update returned a promise: it has to be synchronous')
}

/** What the records of a batch have changed so far, over what is stored. */
class Staged {
  readonly #store: PartitionStore
  readonly #codec: ValueCodec
  readonly #changes = new Map<string, Change>()
  /** The store has refused: no fault of the update's. */
  unreadable: unknown

  constructor(store: PartitionStore, codec: ValueCodec) {
    this.#store = store
    this.#codec = codec
  }

  get(key: Buffer): unknown {
    const value = this.#read(key)
    return value === undefined ? undefined : this.revive(value)
  }

  snapshot(value: unknown): Snapshot {
    return this.#codec.snapshot(value)
  }

  revive(value: Snapshot): unknown {
    return this.#codec.revive(value)
  }

  keep(ctx: UpdateContext): void {
    const staged = UpdateContext.staged(ctx)
    if (staged === undefined) return
    const { key, value } = staged
    this.#changes.set(key.toString('latin1'), [key, value === null ? null : snapshotBytes(value)])
  }

  changes(): Change[] {
    return [...this.#changes.values()]
  }

  #read(key: Buffer): Buffer | undefined {
    const changed = this.#changes.get(key.toString('latin1'))
    if (changed !== undefined) return changed[1] ?? undefined
    try {
      return this.#store.get(key)
    } catch (error) {
      this.unreadable = error
      throw error
    }
  }
}

/** The `ctx` of an update. */
export class UpdateContext {
  readonly partition: number
  readonly key: string
  readonly #record: LogRecord
  readonly #keyBytes: Buffer
  readonly #stored: Staged
  readonly #log: (at: Omit<RecordAt, 'stream'>) => UserLog
  #staged: Snapshot | null | undefined
  #isOver = false

  constructor(
    partition: number,
    record: LogRecord,
    stored: Staged,
    log: (at: Omit<RecordAt, 'stream'>) => UserLog,
  ) {
    this.partition = partition
    this.#record = record
    this.#keyBytes = record.key ?? Buffer.alloc(0)
    this.key = record.keyText()
    this.#stored = stored
    this.#log = log
  }

  /** Any later use throws. */
  static end(ctx: UpdateContext): void {
    ctx.#isOver = true
  }

  /** What it had set; a value of null: deleted; undefined: nothing. */
  static staged(
    ctx: UpdateContext,
  ): { readonly key: Buffer; readonly value: Snapshot | null } | undefined {
    return ctx.#staged === undefined ? undefined : { key: ctx.#keyBytes, value: ctx.#staged }
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

  get log(): UserLog {
    const { key, partition, offset } = this
    return this.#log({ key, partition, offset })
  }

  get(): unknown {
    this.#assertLive('get')
    if (this.#staged === undefined) return this.#stored.get(this.#keyBytes)
    return this.#staged === null ? undefined : this.#stored.revive(this.#staged)
  }

  set(value: unknown): void {
    this.#assertLive('set')
    if (value === null || value === undefined)
      throw new TypeError(`ctx.set(${value}): ctx.delete() removes the value`)
    this.#staged = this.#stored.snapshot(value)
  }

  delete(): void {
    this.#assertLive('delete')
    this.#staged = null
  }

  #assertLive(call: string): void {
    if (this.#isOver)
      throw new HostError('MISUSED_CONTEXT', `ctx.${call} was called after its update had returned`)
  }
}

function failed(
  name: string,
  version: string,
  { topic: stream, partition }: Batch,
  record: LogRecord,
  thrown: unknown,
): HostError {
  const { offset } = record
  const key = record.keyText()
  const error = toPlainError(thrown)
  const failure: RecordFailure = { error, version, stream, partition, offset, key, attempts: 1 }
  return new HostError(
    'RECORD_FAILED',
    `${name} cannot take up a record of ${stream}: ${error.message}`,
    { function: name, stream, partition, offset, details: failure, cause: thrown },
  )
}
