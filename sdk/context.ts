// The one argument of every handler: the record's circumstances, and all that a handler may do.
import type { AnyCodec, InOf, OutOf } from './codec.js'
import type { KeyIn } from './key.js'
import type { TableOut, Tables } from './topic-table.js'

/**
 * Codecs by the name of their stream.
 *
 * @example
 * const inputs: Codecs = { clicks: json<{ page: string }>() }
 */
export type Codecs = Readonly<Record<string, AnyCodec>>

/**
 * Writes to the host's log; each line carries the function, stream, partition, offset and key.
 *
 * @example
 * ctx.log.warn('no such page', { page: click.page })
 */
export interface ContextLog {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void
  info(message: string, fields?: Readonly<Record<string, unknown>>): void
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void
  error(message: string, fields?: Readonly<Record<string, unknown>>): void
}

/**
 * What may be said of an emitted record besides key and value.
 *
 * @example
 * ctx.emit('visits', ctx.key, visit, { headers: { source: 'web' }, timestamp: Date.now() })
 */
export interface EmitOptions {
  /** Written as UTF-8, with those of the definition's `headers` that have no name among these. */
  readonly headers?: Readonly<Record<string, string>>
  /** Milliseconds since 1970. Absent: the timestamp of the record that is being handled. */
  readonly timestamp?: number
  /** Absent: chosen by the key, so that records of one key stay in order. */
  readonly partition?: number
}

/**
 * What every handler gets, whatever its function declares. It serves one attempt at one record: used later, it throws.
 *
 * @example
 * const age = (ctx: BaseContext) => Date.now() - ctx.timestamp
 */
export interface BaseContext<Key = string> {
  /** The record's key: as UTF-8, empty for a record without one; with `keys` in the definition, what that makes of it. */
  readonly key: Key
  /** The stream that the record came from, by the name in the definition. In `onLoop`: the loop's. In a visit: `visit:` and the visitor's name. */
  readonly stream: string
  readonly partition: number
  /** In a visit −1: there is no record. */
  readonly offset: number
  /** Of the record, in milliseconds since 1970; in a visit, of its beginning. */
  readonly timestamp: number
  /** Of the record, values decoded as UTF-8; of several headers with one name, the last. */
  readonly headers: Readonly<Record<string, string>>
  /** Aborted when this attempt is given up: pass it to `fetch` and the like. */
  readonly signal: AbortSignal
  readonly log: ContextLog
  /**
   * Makes the record wait: it counts when the function that is returned was called, also long after the handler has returned. Until
   * then no flush moves the position beyond it; the records behind it are handled meanwhile. Called with an error, the record has
   * failed, as if the handler had thrown: it is tried again, and so is what its key has done since. Called more than once, it waits for all.
   *
   * Throws when it is called after its record was done with.
   *
   * @example
   * const done = ctx.defer()
   * batch.push({ row, done }) // whoever writes the batch calls each done()
   */
  defer(): (error?: unknown) => void
  /**
   * Gives the record up, without a retry; `onError` decides what happens to it. Always throws: write `return ctx.fail(…)`
   * to make it plain to the compiler, too.
   */
  fail(reason: string | Error): never
}

/**
 * What a handler gets of a function with a `table`: the value of the record's own key. What was set is read back at once.
 *
 * @example
 * const add = (ctx: TableContext<number, number>, n: number) => ctx.set((ctx.get() ?? 0) + n)
 */
export interface TableContext<Out, In> {
  /** `undefined` if the key has no value. A copy each time: only `set` changes the table. */
  get(): Out | undefined
  /**
   * Encoded at once: later changes of the object don't count. Throws what the codec throws, and a `TypeError` for `null` and
   * `undefined`: `delete` removes.
   */
  set(value: In): void
  /** Removes the key from the table. */
  delete(): void
}

/**
 * What a handler gets of a function with `outputs`.
 *
 * @example
 * const visit = (ctx: OutputContext<{ visits: TextCodec<string> }>) => ctx.emit('visits', 'home', 'x')
 */
export interface OutputContext<Outputs extends Codecs> {
  /** Writes a record to a declared output. A value of `null` is a tombstone. Throws what the codec throws. */
  emit<Stream extends keyof Outputs & string>(
    stream: Stream,
    key: KeyIn<Outputs[Stream]>,
    value: InOf<Outputs[Stream]> | null,
    options?: EmitOptions,
  ): void
}

/**
 * What a handler gets of a function with a `loop`.
 *
 * @example
 * const again = (ctx: LoopContext<{ step: number }>) => ctx.loopback('other-key', { step: 2 })
 */
export interface LoopContext<In, Key = string> {
  /** Sends a message to this function itself, under any key; `onLoop` handles it in that key's turn. */
  loopback(key: Key, value: In): void
}

/**
 * What a handler gets of a function with `joins`.
 *
 * @example
 * const ageOf = (ctx: JoinContext<{ profiles: TextCodec<{ age: number }> }>) => ctx.join('profiles')?.age
 */
export interface JoinContext<Joins extends Tables> {
  /**
   * The value that the joined table has for the record's own key; `undefined` if there is none. As far as the copy has come: it is
   * brought up to the table's end before the first record is handled, and follows it from then on.
   */
  join<Table extends keyof Joins & string>(table: Table): TableOut<Joins[Table]> | undefined
}

/**
 * What a handler gets of a function with `lookups`.
 *
 * @example
 * const price = (ctx: LookupContext<{ prices: TextCodec<number> }>) => ctx.lookup('prices', 'apple') ?? 0
 */
export interface LookupContext<Lookups extends Tables> {
  /** The value that the table has for any key; `undefined` if there is none. As far as the copy has come, as in `join`. */
  lookup<Table extends keyof Lookups & string>(
    table: Table,
    key: KeyIn<Lookups[Table]>,
  ): TableOut<Lookups[Table]> | undefined
}

/**
 * The context of a function: `get`, `set` and `delete` exist only with a table, `emit` only with outputs, `loopback` only
 * with a loop, `join` and `lookup` only with joins and lookups. Inferred from the definition; name it only for functions of your own that take it.
 *
 * @example
 * const count = json<{ count: number }>()
 * const add = (ctx: Context<typeof count>) => ctx.set({ count: (ctx.get()?.count ?? 0) + 1 })
 */
export type Context<
  Table extends AnyCodec | undefined = undefined,
  Outputs extends Codecs = Record<never, never>,
  Loop extends AnyCodec | undefined = undefined,
  Joins extends Tables = Record<never, never>,
  Lookups extends Tables = Record<never, never>,
  Key = string,
> = BaseContext<Key> &
  ([Table] extends [AnyCodec] ? TableContext<OutOf<Table>, InOf<Table>> : unknown) &
  ([keyof Outputs] extends [never] ? unknown : OutputContext<Outputs>) &
  ([Loop] extends [AnyCodec] ? LoopContext<InOf<Loop>, Key> : unknown) &
  ([keyof Joins] extends [never] ? unknown : JoinContext<Joins>) &
  ([keyof Lookups] extends [never] ? unknown : LookupContext<Lookups>)

/**
 * The context with everything in it and no types of values: what the host makes.
 *
 * @example
 * const keyOf = (ctx: AnyContext) => ctx.key
 */
export interface AnyContext
  extends BaseContext<unknown>,
    TableContext<unknown, unknown>,
    OutputContext<Codecs>,
    LoopContext<unknown>,
    JoinContext<Tables>,
    LookupContext<Tables> {}
