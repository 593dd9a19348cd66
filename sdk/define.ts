// defineProcessor: a definition is data, from whose codecs the types of every handler follow.
import type { AnyCodec, InOf, OutOf } from './codec.js'
import type { AnyContext, BaseContext, Codecs, Context } from './context.js'
import type { KeyCodec } from './key.js'
import { marked } from './marked.js'
import type { Store } from './store.js'
import type { Hasher } from './topic.js'
import type { Tables } from './topic-table.js'

/**
 * What happens to records without a value: `ignore` (the default) drops them, `process` gives handlers `null`, `decode` gives
 * the codec an empty byte array.
 *
 * @example
 * const tombstones: Tombstones = 'process'
 */
export type Tombstones = 'ignore' | 'process' | 'decode'

/**
 * How often an attempt that threw is made again.
 *
 * @example
 * const retry: Retry = { attempts: 5, backoffMs: 200 } // after 200, 400, 800 and 1,600 ms
 */
export interface Retry {
  /** All attempts, the first included. Default: 3. */
  readonly attempts?: number
  /** Before the second attempt; doubled before each further one. Default: 100. */
  readonly backoffMs?: number
}

/**
 * Handles one record. What it set and emitted counts only if it returns (or its promise resolves).
 *
 * @example
 * const log: Handler<BaseContext, string> = (ctx, value) => ctx.log.info(value)
 */
export type Handler<Ctx, Value> = (ctx: Ctx, value: Value) => void | Promise<void>

/**
 * Is called for a key of the table, when a visit is asked for; `argument` is what was sent along (JSON), the same for each key. Say
 * what it is by the parameter's type: it is not checked.
 *
 * @example
 * const close: Visitor<Context<typeof accounts>> = (ctx, { before }: { before: number }) => {
 *   if ((ctx.get()?.at ?? 0) < before) ctx.delete()
 * }
 */
export type Visitor<Ctx> = { visit(ctx: Ctx, argument: unknown): void | Promise<void> }['visit']

/**
 * A handler, or a visitor, as middleware has it: `value` is the record's, or the visit's argument.
 *
 * @example
 * const ignored: Next = (ctx) => ctx.log.debug('ignored')
 */
export type Next<Ctx = BaseContext<unknown>> = (ctx: Ctx, value: unknown) => void | Promise<void>

/**
 * Goes around every handler and visitor of a function. Called once for each of them when the function is loaded; what it returns
 * is called in their place, for each attempt. `Base` is what `ctx` has to have: without one it suits every function. Return what `next` returns, so that a handler that is not async is not awaited.
 *
 * @example
 * const timed: Middleware = (next) => (ctx, value) => {
 *   const start = performance.now()
 *   const log = () => ctx.log.info('handled', { ms: performance.now() - start })
 *   const returned = next(ctx, value)
 *   return returned instanceof Promise ? returned.then(log) : log()
 * }
 */
export type Middleware<Base = BaseContext<unknown>> = <Ctx extends Base>(
  next: Next<Ctx>,
) => Next<Ctx>

/** Middleware of one function, which need not suit others. */
type Around<Ctx> = (next: Next<Ctx>) => Next<Ctx>

type ValueOf<C, T extends Tombstones> = T extends 'process' ? OutOf<C> | null : OutOf<C>

/**
 * How values that an earlier version stored become values of this one. It is asked for what the table's codec does not take, each
 * time such a value is read by a handler or a view; the stored bytes stay until the key is set again.
 *
 * @example
 * const migrate: Migration<TextCodec<{ count: number }>, TextCodec<{ clicks: number }>> = {
 *   from: json<{ count: number }>(),
 *   to: (old) => ({ clicks: old.count }),
 * }
 */
export interface Migration<Stored extends AnyCodec, Table extends AnyCodec | undefined> {
  /** Reads the stored bytes: the codec that the table had. Of several earlier ones: a codec that takes all that they wrote. */
  readonly from: Stored
  /**
   * Makes of it what `ctx.set` would be given. Synchronous, and the same each time: it may be called often for one value. What it
   * throws, or what the table's codec refuses of it, makes the value one that does not decode.
   */
  readonly to: (stored: OutOf<NoInfer<Stored>>) => InOf<NoInfer<Table>>
}

/**
 * What `defineProcessor` takes.
 *
 * @example
 * type Clicks = Definition<{ clicks: TextCodec<string> }, undefined, {}, undefined, 'ignore'>
 */
export type Definition<
  Inputs extends Codecs,
  Table extends AnyCodec | undefined,
  Outputs extends Codecs,
  Loop extends AnyCodec | undefined,
  T extends Tombstones,
  Stored extends AnyCodec = AnyCodec,
  Joins extends Tables = Record<never, never>,
  Lookups extends Tables = Record<never, never>,
  Key = string,
> = {
  /** The streams that are read, by name, at least one; all have as many partitions. */
  readonly inputs: Inputs
  /**
   * What the keys of inputs, table and loop are to handlers: `ctx.key`, `ctx.loopback`. Without it they are text. In the log, in the table and over HTTP they are text
   * in any case. A record whose key it does not take is one that does not decode. For outputs and lookups: `keyed`.
   */
  readonly keys?: KeyCodec<Key>
  /** Keeps a value for each key, in a table with the function's name. */
  readonly table?: Table
  /**
   * Where the table is kept, and copies of others' tables: `level` (the default), on disk; `memory`, rebuilt from the log at each start of the
   * function's thread; or a store of your own.
   */
  readonly store?: 'level' | 'memory' | Store
  /** For a table whose codec no longer takes what is stored. */
  readonly migrate?: Migration<Stored, Table>
  /**
   * Another one begins anew: with an empty table, the inputs from their oldest records, and what is emitted emitted again. What
   * the former one had stored and read stays in the log, and is gone on with if it is given again. A whole number from 0, or a
   * name of small letters, digits and `-`. Without one the function is the plain `name`; revision 2 is the group `name.2`.
   */
  readonly revision?: number | string
  /**
   * The function's group in the log, by the name that it has there (without the namespace): that of a Goka processor, for instance,
   * whose table, loop and positions are then taken over. Default: the function's name, behind the namespace.
   */
  readonly group?: string
  /** The table's topic, by the name that it has in the log (without the namespace). Default: `GROUP-table`. */
  readonly tableTopic?: string
  /** The loop's topic, by the name that it has in the log (without the namespace). Default: `GROUP-loop`. */
  readonly loopTopic?: string
  /**
   * By what hash of their keys the records of inputs, table and loop are placed, and those that are emitted, unless a stream says
   * otherwise (`topic`). `murmur2` (the default) is that of Kafka's own clients, `fnv1a` that of Goka.
   */
  readonly hasher?: Hasher
  /** The streams that may be emitted to, by name. */
  readonly outputs?: Outputs
  /** Put on every record that the function emits or loops back; what an emit itself gives under the same name wins. */
  readonly headers?: Readonly<Record<string, string>>
  /** Lets the function send messages to itself under other keys. */
  readonly loop?: Loop
  /**
   * Tables of others, of which handlers read the value of the record's own key (`ctx.join`). They need as many partitions as the inputs,
   * and the same hasher. Each partition of the function has a copy of its partition of the table.
   */
  readonly joins?: Joins
  /** Tables of others, of which handlers read any key (`ctx.lookup`): with any number of partitions, each instance has a copy of all. */
  readonly lookups?: Lookups
  /** A handler for each input. */
  readonly on: {
    readonly [Stream in keyof NoInfer<Inputs>]: Handler<
      Context<
        NoInfer<Table>,
        NoInfer<Outputs>,
        NoInfer<Loop>,
        NoInfer<Joins>,
        NoInfer<Lookups>,
        NoInfer<Key>
      >,
      ValueOf<NoInfer<Inputs>[Stream], NoInfer<T>>
    >
  }
  /** What goes around every handler and visitor; of several, the first is the outermost. What it throws, a handler has thrown. */
  readonly wrap?:
    | Around<
        Context<
          NoInfer<Table>,
          NoInfer<Outputs>,
          NoInfer<Loop>,
          NoInfer<Joins>,
          NoInfer<Lookups>,
          NoInfer<Key>
        >
      >
    | readonly Around<
        Context<
          NoInfer<Table>,
          NoInfer<Outputs>,
          NoInfer<Loop>,
          NoInfer<Joins>,
          NoInfer<Lookups>,
          NoInfer<Key>
        >
      >[]
  /** When a record has failed for good: `halt` (the default) stops the function at it, `skip` goes on behind it. */
  readonly onError?: 'halt' | 'skip'
  readonly retry?: Retry
  /**
   * When records of an input are gone that were not handled yet, to retention for instance, or the input was made anew: `halt` (the
   * default) stops the function, `continue` goes on with what is there, and says so in the log.
   */
  readonly onDataLoss?: 'halt' | 'continue'
  readonly tombstones?: T
  /**
   * How many records of a partition may be handled at once, each of another key; from 1 (the default) to 1,024. A key's records are
   * still handled one after another, in order. For handlers that await.
   */
  readonly concurrency?: number
  /**
   * When outputs leave: `exactly-once` (the default), with the table and the positions, together or not at all; `at-least-once`, as
   * soon as a record is handled, so that a crash can repeat them. The table counts each record once with either.
   */
  readonly delivery?: 'exactly-once' | 'at-least-once'
} & ([Loop] extends [AnyCodec]
  ? {
      /** Handles what `ctx.loopback` sent. */
      readonly onLoop: Handler<
        Context<
          NoInfer<Table>,
          NoInfer<Outputs>,
          NoInfer<Loop>,
          NoInfer<Joins>,
          NoInfer<Lookups>,
          NoInfer<Key>
        >,
        ValueOf<NoInfer<Loop>, NoInfer<T>>
      >
    }
  : { readonly onLoop?: never }) &
  ([Table] extends [AnyCodec]
    ? {
        /**
         * How many other instances keep a warm copy of each partition of the table, by following its changelog: one of them takes the
         * partition over when its owner is gone, without reading the table first. Default 0. On the embedded log, which one host has
         * alone, it does nothing.
         *
         * @example
         * export default defineProcessor({ inputs: { clicks: string }, table: int64, standby: 1, on: { clicks() {} } })
         */
        readonly standby?: number
        /**
         * Before an instance takes any partition, it copies all of the table, and of the tables that are joined and looked up; only then
         * does it join. Until then the function is `recovering`, and others have its partitions. Default false.
         *
         * @example
         * export default defineProcessor({ inputs: { clicks: string }, table: int64, recoverAhead: true, on: { clicks() {} } })
         */
        readonly recoverAhead?: boolean
        /**
         * From what views of the table are answered: with `routing` (the default) by the instance that has the key's partition; with
         * `replicate` by each, from a copy of all of it, also while it is cut off from the log. What may be old then is marked with the
         * header `millrace-stale: true`.
         *
         * @example
         * export default defineProcessor({ inputs: { clicks: string }, table: int64, views: 'replicate', on: { clicks() {} } })
         */
        readonly views?: 'routing' | 'replicate'
        /**
         * What a person may have done to every key that the table holds, by name: `millrace visit FUNCTION VISITOR`. Each is called in
         * its key's turn, as handlers are, and may do what they may; `ctx.stream` is `visit:NAME`, `ctx.offset` −1.
         */
        readonly visitors?: Readonly<
          Record<
            string,
            Visitor<
              Context<
                NoInfer<Table>,
                NoInfer<Outputs>,
                NoInfer<Loop>,
                NoInfer<Joins>,
                NoInfer<Lookups>,
                NoInfer<Key>
              >
            >
          >
        >
      }
    : {
        readonly visitors?: never
        readonly standby?: never
        readonly recoverAhead?: never
        readonly views?: never
      })

/** A method's parameters are bivariant: handlers of any function are handlers to the host. */
type AnyHandler = { handle(ctx: AnyContext, value: unknown): void | Promise<void> }['handle']

type AnyMiddleware = { wrap(next: never): AnyHandler }['wrap']

type AnyMigration = {
  readonly from: AnyCodec
  readonly to: { convert(stored: unknown): unknown }['convert']
}

/**
 * A finished definition: the default export of a function file. Frozen; its fields are those that were given.
 *
 * @example
 * const definition: ProcessorDefinition = defineProcessor({ inputs: { names: string }, on: { names() {} } })
 */
export interface ProcessorDefinition<
  Inputs extends Codecs = Codecs,
  Table extends AnyCodec | undefined = AnyCodec | undefined,
  Outputs extends Codecs = Codecs,
  Loop extends AnyCodec | undefined = AnyCodec | undefined,
  Key = unknown,
> {
  readonly keys?: KeyCodec<Key>
  readonly inputs: Inputs
  readonly table?: Table
  readonly store?: 'level' | 'memory' | Store
  readonly migrate?: AnyMigration
  readonly revision?: number | string
  readonly group?: string
  readonly tableTopic?: string
  readonly loopTopic?: string
  readonly hasher?: Hasher
  readonly outputs?: Outputs
  readonly loop?: Loop
  readonly joins?: Tables
  readonly lookups?: Tables
  readonly headers?: Readonly<Record<string, string>>
  readonly on: Readonly<Record<string, AnyHandler>>
  readonly onLoop?: AnyHandler
  readonly visitors?: Readonly<Record<string, AnyHandler>>
  readonly wrap?: AnyMiddleware | readonly AnyMiddleware[]
  readonly onError?: 'halt' | 'skip'
  readonly retry?: Retry
  readonly onDataLoss?: 'halt' | 'continue'
  readonly tombstones?: Tombstones
  readonly concurrency?: number
  readonly delivery?: 'exactly-once' | 'at-least-once'
  readonly standby?: number
  readonly recoverAhead?: boolean
  readonly views?: 'routing' | 'replicate'
}

/**
 * Defines a processor: reads streams record by record, keeps a table, emits to further streams. A function file exports it as
 * its default; the file's base name is the function's name.
 *
 * Throws a `TypeError` for what is no object; the host checks the rest when it loads the file, and names every problem.
 *
 * @example
 * export default defineProcessor({
 *   inputs: { clicks: json<{ page: string }>() },
 *   table: json<{ count: number }>(),
 *   on: {
 *     clicks(ctx, click) {
 *       ctx.set({ count: (ctx.get()?.count ?? 0) + 1 })
 *     },
 *   },
 * })
 */
export function defineProcessor<
  const Inputs extends Codecs,
  Table extends AnyCodec | undefined = undefined,
  const Outputs extends Codecs = Record<never, never>,
  Loop extends AnyCodec | undefined = undefined,
  const T extends Tombstones = 'ignore',
  Stored extends AnyCodec = AnyCodec,
  const Joins extends Tables = Record<never, never>,
  const Lookups extends Tables = Record<never, never>,
  Key = string,
>(
  definition: Definition<Inputs, Table, Outputs, Loop, T, Stored, Joins, Lookups, Key>,
): ProcessorDefinition<Inputs, Table, Outputs, Loop, Key>
export function defineProcessor(definition: ProcessorDefinition): ProcessorDefinition {
  return marked('processor', definition, defineProcessor)
}
