// defineView: serves a table that another system writes, from a copy of its own.
import type { AnyCodec, InOf, OutOf } from './codec.js'
import type { BaseContext, TableContext } from './context.js'
import { marked } from './marked.js'
import type { Store } from './store.js'
import type { Hasher } from './topic.js'

/**
 * What `update` gets: the record's circumstances, and what the view has stored for its key. It serves one record: used later, it
 * throws.
 *
 * @example
 * const changed = (ctx: UpdateContext<number, number>) => ctx.set((ctx.get() ?? 0) + 1)
 */
export type UpdateContext<Out, In> = Pick<
  BaseContext,
  'key' | 'partition' | 'offset' | 'timestamp' | 'headers' | 'log'
> &
  TableContext<Out, In>

/**
 * How a record of the table's topic changes what is stored; `null` stands for a deletion. Synchronous. Without one a value is put
 * as it is, and a deletion deletes. What it throws halts the view at that record.
 *
 * @example
 * const newest: Update<number, number, number> = (ctx, price) => {
 *   if (price !== null) ctx.set(price)
 * }
 */
export type Update<Value, Out, In> = (ctx: UpdateContext<Out, In>, value: Value | null) => void

/**
 * What `defineView` takes.
 *
 * @example
 * const prices: View<TextCodec<number>, TextCodec<number>> = { table: 'shop.prices', codec: json<number>() }
 */
export interface View<Value extends AnyCodec, Stored extends AnyCodec> {
  /** The table's topic, by the whole name that it has in the log: the namespace is not put in front. It is compacted; others make and write it. */
  readonly table: string
  /** Of the topic's values. */
  readonly codec: Value
  /** Of what `update` stores, if that is something else. */
  readonly stored?: Stored
  readonly update?: Update<OutOf<NoInfer<Value>>, OutOf<NoInfer<Stored>>, InOf<NoInfer<Stored>>>
  /**
   * Where the copy is kept: `level` (the default) on the local disk, `memory` anew from the topic at each start, or a store of one's own.
   */
  readonly store?: 'level' | 'memory' | Store
  /** By what hash the topic's keys are placed. Default: `murmur2`. */
  readonly hasher?: Hasher
  /**
   * Another one makes the copy anew, from the topic's oldest record: for an `update` that is another, for instance. A whole number
   * from 0, or a name of small letters, digits and `-`.
   */
  readonly revision?: number | string
}

/**
 * A finished view: the default export of a file. Frozen; its fields are those that were given.
 *
 * @example
 * const view: ViewDefinition = defineView({ table: 'shop.prices', codec: json<number>() })
 */
export interface ViewDefinition<Stored extends AnyCodec = AnyCodec> {
  readonly table: string
  readonly codec: AnyCodec
  readonly stored?: Stored
  readonly store?: 'level' | 'memory' | Store
  readonly update?: { update(ctx: UpdateContext<unknown, unknown>, value: unknown): void }['update']
  readonly hasher?: Hasher
  readonly revision?: number | string
}

/**
 * Defines a view of a table that another system writes: each instance has a full copy, which follows the table's topic. A file of
 * `functions/` exports it as its default; the file's base name is the view's, under which it is read (`GET /views/NAME/KEY`).
 *
 * Throws a `TypeError` for what is no object; the host checks the rest when it loads the file, and names every problem.
 *
 * @example
 * // functions/prices.ts
 * export default defineView({ table: 'shop.prices', codec: json<{ cents: number }>() })
 */
export function defineView<Value extends AnyCodec, Stored extends AnyCodec = Value>(
  view: View<Value, Stored>,
): ViewDefinition<Stored>
export function defineView(view: ViewDefinition): ViewDefinition {
  return marked('view', view, defineView)
}
