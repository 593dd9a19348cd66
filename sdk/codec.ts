// Codecs: how values become bytes in the log and in a table, and how they come back.

/**
 * Turns values into bytes and back. `In` is what may be written, `Out` what is read. An object with these two functions is
 * a codec of your own.
 *
 * Both are called synchronously, in the thread of the function; what they throw says that the value, or the bytes, are
 * refused.
 *
 * @example
 * const date: Codec<Date> = {
 *   encode: (value) => new TextEncoder().encode(value.toISOString()),
 *   decode: (bytes) => new Date(new TextDecoder().decode(bytes)),
 * }
 */
export interface Codec<Out, In = Out> {
  encode(value: In): Uint8Array
  decode(bytes: Uint8Array): Out
}

/** Which of the SDK's codecs it is; the host takes short cuts for these. A codec without a kind is the user's own. */
export type CodecKind = 'json' | 'schema' | 'string' | 'int64' | 'bytes' | 'custom'

/**
 * A codec whose bytes are UTF-8 text: the host keeps the text and makes bytes only when it flushes.
 *
 * @example
 * const clicks: TextCodec<{ page: string }> = json<{ page: string }>()
 * clicks.encodeText({ page: '/' }) // '{"page":"/"}'
 */
export interface TextCodec<Out, In = Out> extends Codec<Out, In> {
  readonly kind: 'json' | 'schema' | 'string' | 'int64'
  encodeText(value: In): string
  decodeText(text: string): Out
}

/**
 * The codec that leaves bytes as they are.
 *
 * @example
 * const raw: BytesCodec = bytes
 */
export interface BytesCodec extends Codec<Uint8Array> {
  readonly kind: 'bytes'
}

/**
 * Any codec, whatever its values are.
 *
 * @example
 * const inputs: Record<string, AnyCodec> = { clicks: json(), names: string }
 */
export type AnyCodec = Codec<unknown>

/**
 * What a codec reads.
 *
 * @example
 * const count = json<{ count: number }>()
 * type Count = OutOf<typeof count> // { count: number }
 */
export type OutOf<C> = C extends Codec<infer Out, never> ? Out : never

/**
 * What a codec may be given to write.
 *
 * @example
 * type Amount = InOf<typeof int64> // number | bigint
 */
export type InOf<C> = C extends { encode(value: infer In): Uint8Array } ? In : never

/** A text codec from its two halves; `bytes` that are no UTF-8 are refused. */
export function textCodec<Out, In>(
  kind: TextCodec<Out, In>['kind'],
  encodeText: (value: In) => string,
  decodeText: (text: string) => Out,
): TextCodec<Out, In> {
  const encoder = new TextEncoder()
  // A byte order mark belongs to the text: what was written comes back as it was.
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  const read = (bytes: Uint8Array): string => {
    try {
      return decoder.decode(bytes)
    } catch (cause) {
      throw new TypeError(`these ${bytes.byteLength} bytes are no UTF-8 text`, { cause })
    }
  }
  return Object.freeze({
    kind,
    encodeText,
    decodeText,
    encode: (value: In) => encoder.encode(encodeText(value)),
    decode: (bytes: Uint8Array) => decodeText(read(bytes)),
  })
}
