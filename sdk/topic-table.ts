// Tables that are not a function's: named by their topic.
import type { AnyCodec, OutOf } from './codec.js'
import type { Hasher, TopicOptions } from './topic.js'

/**
 * A table that another system writes, for `joins` and `lookups`: made by `topicTable`.
 *
 * @example
 * const prices: TopicTable<TextCodec<number>> = topicTable('shop.prices', json<number>())
 */
export interface TopicTable<Value extends AnyCodec = AnyCodec> {
  readonly topic: string
  readonly codec: Value
  /** Absent: that of the function that reads it. */
  readonly hasher?: Hasher
}

/**
 * Tables by the name under which a function reads them: the codec for another function's table of that name, `topicTable` for one
 * that is not a function's.
 *
 * @example
 * const joins: Tables = { profiles: json<{ age: number }>(), prices: topicTable('shop.prices', json<number>()) }
 */
export type Tables = Readonly<Record<string, AnyCodec | TopicTable>>

/** What is read of such a table. */
export type TableOut<Table> = Table extends TopicTable<infer Value> ? OutOf<Value> : OutOf<Table>

/**
 * A table that is not a function's, by its topic, whose whole name it is: the namespace is not put in front. The topic is compacted, and has a
 * record for each change of a key; one without a value deletes it.
 *
 * Throws a `TypeError` for a topic that is no text.
 *
 * @example
 * export default defineProcessor({
 *   inputs: { orders: json<{ article: string }>() },
 *   lookups: { prices: topicTable('shop.prices', json<number>()) },
 *   on: { orders: (ctx, { article }) => ctx.log.info(`costs ${ctx.lookup('prices', article)}`) },
 * })
 */
export function topicTable<Value extends AnyCodec>(
  topic: string,
  codec: Value,
  options: TopicOptions = {},
): TopicTable<Value> {
  if (typeof topic !== 'string') {
    throw new TypeError(`topicTable takes the name of a topic and a codec, not ${typeof topic}`)
  }
  return Object.freeze({ topic, codec, ...options })
}
