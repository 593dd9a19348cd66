// Codecs: how keys' values become bytes in the log and in a table, and how they come back.

/** Turns values into bytes and back. `In` is what may be written, `Out` what is read. */
export interface Codec<Out, In = Out> {
  encode(value: In): Uint8Array
  decode(bytes: Uint8Array): Out
}

/** Which of the SDK's codecs it is; the host takes short cuts for these. A codec without a kind is the user's own. */
export type CodecKind = 'json' | 'schema' | 'string' | 'int64' | 'bytes' | 'custom'

/** A codec whose bytes are UTF-8 text: the host keeps the text and makes bytes only when it flushes. */
export interface TextCodec<Out, In = Out> extends Codec<Out, In> {
  readonly kind: 'json' | 'schema' | 'string' | 'int64'
  encodeText(value: In): string
  decodeText(text: string): Out
}
