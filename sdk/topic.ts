// Streams whose topic is there already: under another name than theirs, or placed by another hash.
import type { Codec } from './codec.js'

/**
 * By what hash of its key a record is placed in a partition: `murmur2` as Kafka's own clients have it (Java, Connect, librdkafka
 * with `murmur2_random`), `fnv1a` as Goka and Sarama have it.
 *
 * @example
 * const hasher: Hasher = 'fnv1a'
 */
export type Hasher = 'murmur2' | 'fnv1a'

/**
 * What `topic` may be told besides name and codec.
 *
 * @example
 * const options: TopicOptions = { hasher: 'murmur2' }
 */
export interface TopicOptions {
  /** By what the topic's keys are placed. Absent: by the function's own `hasher`. */
  readonly hasher?: Hasher
}

/**
 * The codec of a stream that lies in a topic of another name.
 *
 * @example
 * const clicks: TopicCodec<bigint, bigint | number> = topic('prod.clicks.v1', int64)
 */
export interface TopicCodec<Out, In = Out> extends Codec<Out, In> {
  readonly topic: string
}

/**
 * Says in which topic a stream lies: one that is there already, under a name of its own. The name is taken as it is, without the
 * namespace. All functions of a host that have the stream have to name the same topic.
 *
 * Throws a `TypeError` for what is no codec.
 *
 * @example
 * export default defineProcessor({
 *   inputs: { clicks: topic('prod.clicks.v1', json<{ page: string }>()) },
 *   on: { clicks: (ctx, click) => ctx.log.info(click.page) },
 * })
 */
export function topic<Out, In = Out>(
  name: string,
  codec: Codec<Out, In>,
  options: TopicOptions = {},
): TopicCodec<Out, In> {
  if (!isCodec(codec)) {
    throw new TypeError(`topic(${JSON.stringify(name)}, …): the second argument is no codec`)
  }
  if ('keys' in codec) {
    throw new TypeError(
      `topic(${JSON.stringify(name)}, …): keyed goes around it: keyed(keys, topic(…))`,
    )
  }
  return Object.freeze(
    // Of the global registry, as that of definitions: another copy of the SDK may have made it.
    Object.defineProperty(
      {
        // By what it is known as one of the SDK's; one of the user's own may be an instance of a class.
        ...codec,
        encode: (value: In) => codec.encode(value),
        decode: (bytes: Uint8Array) => codec.decode(bytes),
        topic: name,
      },
      Symbol.for('millrace.topic'),
      { value: { name, ...options } },
    ),
  )
}

function isCodec(codec: unknown): boolean {
  return (
    typeof codec === 'object' &&
    codec !== null &&
    ['encode', 'decode'].every((half) => typeof Reflect.get(codec, half) === 'function')
  )
}
