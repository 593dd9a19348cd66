// What the main thread and the gate thread say to each other.

import type { PlainError } from '../errors.js'
import type { CodecRef } from '../functions/catalog.js'
import type { Bundle } from '../functions/description.js'

/** Why a codec does not take a value. */
export interface Refusal {
  readonly message: string
  /** What a schema says, by path. */
  readonly issues?: readonly Issue[]
}

export interface Issue {
  /** Like `items[2].page`; empty: the value itself. */
  readonly path: string
  readonly message: string
}

/** Many values in one piece: a view of a shared buffer would be cloned with all of that buffer. */
export interface Packed {
  readonly bytes: Uint8Array
  readonly lengths: readonly number[]
}

export type GateWork =
  | { readonly operation: 'check'; readonly values: Packed }
  | { readonly operation: 'encode'; readonly texts: readonly string[] }
  | { readonly operation: 'decode'; readonly values: Packed }

export type GateResults =
  | { readonly operation: 'check'; readonly results: readonly (Refusal | null)[] }
  | { readonly operation: 'encode'; readonly results: readonly (Uint8Array | Refusal)[] }
  | { readonly operation: 'decode'; readonly results: readonly (string | Refusal)[] }

/** Taken up and answered in the order in which they were sent. */
export type GateRequest =
  | { readonly kind: 'load'; readonly bundle: Pick<Bundle, 'name' | 'version' | 'file' | 'code'> }
  | {
      readonly kind: 'work'
      readonly function: string
      readonly edge: CodecRef['edge']
      readonly work: GateWork
    }

export type GateReply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'done'; readonly results: GateResults | null }
  | { readonly kind: 'failed'; readonly error: PlainError }

export function pack(values: readonly Uint8Array[]): Packed {
  const lengths = values.map((value) => value.length)
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0))
  let at = 0
  for (const value of values) {
    bytes.set(value, at)
    at += value.length
  }
  return { bytes, lengths }
}

export function unpack({ bytes, lengths }: Packed): Buffer[] {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  return lengths.map((length) => {
    const value = whole.subarray(at, at + length)
    at += length
    return value
  })
}
