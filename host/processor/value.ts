// A codec as the hot path uses it: values are kept as immutable snapshots, so that what user code does to an object later changes nothing.
import type { Codec, CodecKind, TextCodec } from '../../sdk/codec.js'

/** Text for the codecs that are text, bytes for the others. Bytes of text become UTF-8 only in a flush. */
export type Snapshot = string | Buffer

export interface ValueCodec {
  /** Throws what the codec throws. */
  snapshot(value: unknown): Snapshot
  /** A fresh value each time: a handler may change it at will. Throws what the codec throws. */
  revive(snapshot: Snapshot): unknown
}

export function valueCodec(codec: Codec<unknown> & { readonly kind?: CodecKind }): ValueCodec {
  return isTextCodec(codec) ? textValues(codec) : byteValues(codec)
}

export function snapshotBytes(snapshot: Snapshot): Buffer {
  return typeof snapshot === 'string' ? Buffer.from(snapshot) : snapshot
}

function textValues(codec: TextCodec<unknown>): ValueCodec {
  return {
    snapshot: (value) => codec.encodeText(value),
    revive: (snapshot) =>
      codec.decodeText(typeof snapshot === 'string' ? snapshot : snapshot.toString('utf8')),
  }
}

// Copied both ways: the codec may hand out its argument, and a batch's buffer is shared by its records.
function byteValues(codec: Codec<unknown>): ValueCodec {
  return {
    snapshot: (value) => Buffer.from(codec.encode(value)),
    revive: (snapshot) => codec.decode(Uint8Array.from(snapshotBytes(snapshot))),
  }
}

function isTextCodec(codec: Codec<unknown>): codec is TextCodec<unknown> {
  return 'encodeText' in codec && 'decodeText' in codec
}
