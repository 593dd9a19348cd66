// Which store a function keeps its table in, and how its thread opens it.
import type { StorePlace } from '../../sdk/store.js'

/** `own`: of the user's, by a builder that only the function's thread can call. */
export type StoreKind = 'level' | 'memory' | 'own'

/** What a function's thread is told of its store. */
export type StoreStart =
  /** `path`: absolute, spelled exactly as the main thread has opened it. */
  | { readonly kind: 'level'; readonly path: string }
  | { readonly kind: 'memory' }
  | ({ readonly kind: 'own' } & StorePlace)
