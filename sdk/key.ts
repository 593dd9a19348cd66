// Key codecs: what a function sees of its keys, which are text in the log, in tables and over HTTP.
import type { AnyCodec } from './codec.js'

/**
 * Turns keys into text and back. Equal keys have to give equal text, and `encode(decode(text))` the same text again: it is by the text that a key is
 * placed, ordered and found. Both are called synchronously, in the function's thread; what `decode` throws says that the record does not decode.
 *
 * @example
 * const day: KeyCodec<Date> = {
 *   encode: (date) => date.toISOString().slice(0, 10),
 *   decode: (text) => new Date(text),
 * }
 */
export interface KeyCodec<Key> {
  encode(key: Key): string
  decode(text: string): Key
}

/**
 * A codec whose stream, or table, has keys of its own kind: made by `keyed`.
 *
 * @example
 * const follows: KeyedCodec<Date> = { ...json(), keys: day }
 */
export interface KeyedCodec<Key> {
  readonly keys: KeyCodec<Key>
}

/**
 * What the keys of a stream or table are: those of `keyed`, or text.
 *
 * @example
 * type Day = KeyIn<KeyedCodec<Date>> // Date
 */
export type KeyIn<Edge> =
  Edge extends KeyedCodec<infer Key>
    ? Key
    : Edge extends { readonly codec: KeyedCodec<infer Key> }
      ? Key
      : string

/**
 * Says what the keys of an output, or of a table that is looked up, are; without it they are text. For the function's own inputs, table and loop the
 * definition's `keys` says it.
 *
 * Throws a `TypeError` for what is no key codec.
 *
 * @example
 * export default defineProcessor({
 *   inputs: { messages: json<{ to: string }>() },
 *   outputs: { contacts: keyed(keyOf({ from: 'text', to: 'text' }), json<{ count: number }>()) },
 *   on: { messages: (ctx, { to }) => ctx.emit('contacts', { from: ctx.key, to }, { count: 1 }) },
 * })
 */
export function keyed<Key, Value extends AnyCodec>(
  keys: KeyCodec<Key>,
  codec: Value,
): Value & KeyedCodec<Key> {
  if (!isKeyCodec(keys)) {
    throw new TypeError('keyed(keys, codec): keys is an object with encode and decode')
  }
  const made = {
    ...codec,
    encode: (value: unknown) => Reflect.apply(codec.encode, codec, [value]),
    decode: (bytes: Uint8Array) => codec.decode(bytes),
    keys,
  }
  // What `topic` has noted of it, which no copy has.
  const topic = Symbol.for('millrace.topic')
  const noted: unknown = Reflect.get(codec, topic)
  if (noted !== undefined) Object.defineProperty(made, topic, { value: noted })
  return Object.freeze(made)
}

/** Of this very shape; says nothing of what the two do. */
export function isKeyCodec(value: unknown): value is KeyCodec<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    ['encode', 'decode'].every((half) => typeof Reflect.get(value, half) === 'function')
  )
}
