// What the main thread and the gate thread say to each other.

import type { PlainError } from '../errors.js'
import type { CodecRef } from '../functions/catalog.js'
import type { Bundle } from '../functions/description.js'
import type { Packed } from '../functions/packed.js'

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
