// A codec as the hot path uses it: values are kept as immutable snapshots, so that what user code does to an object later changes nothing.
import type { Codec, CodecKind, TextCodec } from '../../sdk/codec.js'
import type { LogRecord } from '../log/log.js'
import { Flat } from './flat.js'
import type { TextBytes } from './text-bytes.js'

/**
 * Text for the codecs that are text, bytes for the others; `Flat` for JSON objects that a copy stands for as well as their text
 * does. Text is made of it, and bytes of that, only in a flush.
 */
export type Snapshot = string | Buffer | Flat

export interface ValueCodec {
  /** It takes text; then bytes have no need to be made. */
  readonly isText: boolean
  /** Throws what the codec throws. */
  snapshot(value: unknown): Snapshot
  /** A fresh value each time: a handler may change it at will. Throws what the codec throws. */
  revive(snapshot: Snapshot): unknown
}

export function valueCodec(codec: Codec<unknown> & { readonly kind?: CodecKind }): ValueCodec {
  if (!isTextCodec(codec)) return byteValues(codec)
  // A schema may change what it reads, so that only its own decoding will do.
  return codec.kind === 'json' ? jsonValues(codec) : textValues(codec)
}

/** `among`: with those of other texts. */
export function snapshotBytes(snapshot: Snapshot, among?: TextBytes): Buffer {
  if (Buffer.isBuffer(snapshot)) return snapshot
  const text = typeof snapshot === 'string' ? snapshot : snapshot.toText()
  return among === undefined ? Buffer.from(text) : among.of(text)
}

function jsonValues(codec: TextCodec<unknown>): ValueCodec {
  return {
    isText: true,
    snapshot: (value) => Flat.of(value) ?? codec.encodeText(value),
    revive: (snapshot) =>
      snapshot instanceof Flat ? snapshot.copy() : codec.decodeText(textOf(snapshot)),
  }
}

function textValues(codec: TextCodec<unknown>): ValueCodec {
  return {
    isText: true,
    snapshot: (value) => codec.encodeText(value),
    revive: (snapshot) => codec.decodeText(textOf(snapshot)),
  }
}

// Copied both ways: the codec may hand out its argument, and a batch's buffer is shared by its records.
function byteValues(codec: Codec<unknown>): ValueCodec {
  return {
    isText: false,
    snapshot: (value) => Buffer.from(codec.encode(value)),
    revive: (snapshot) => codec.decode(Uint8Array.from(snapshotBytes(snapshot))),
  }
}

/** The record's value; no bytes for a tombstone. Throws what the codec throws. */
export function reviveRecord(codec: ValueCodec, record: LogRecord): unknown {
  if (!codec.isText) return codec.revive(record.value ?? emptyBytes)
  const text = record.valueText()
  // As in `textOf`: only these are looked at again.
  return codec.revive(text.includes('\uFFFD') ? (record.value ?? emptyBytes) : text)
}

const emptyBytes = Buffer.alloc(0)
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Throws for bytes that are no UTF-8. */
function textOf(snapshot: Snapshot): string {
  if (typeof snapshot === 'string') return snapshot
  if (snapshot instanceof Flat) return snapshot.toText()
  const text = snapshot.toString('utf8')
  // Node puts U+FFFD for what is no UTF-8. Few texts have one, and only these are looked at again: the strict decoder is slow.
  return text.includes('\uFFFD') ? strictDecoder.decode(snapshot) : text
}

function isTextCodec(codec: Codec<unknown>): codec is TextCodec<unknown> {
  return 'encodeText' in codec && 'decodeText' in codec
}
