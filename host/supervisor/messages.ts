// What the supervisor and the host that it has started say to each other.

/** Given to the host on its command line, as JSON. */
export interface SupervisedStart {
  /** Of the host before this one, should any free port have been asked for: clients know it by now. */
  readonly port?: number
  readonly quarantined: readonly Quarantined[]
  /** They ran whenever the host died, and it is not known which of them is at fault: to be started one after another. */
  readonly suspected: readonly string[]
}

/** A function that has killed the host too often: this version of it is not started. */
export interface Quarantined {
  readonly name: string
  readonly version: string
  readonly deaths: number
  /** It was while its file was loaded: that must not be done again, not even to see what it reads and writes. */
  readonly isAtLoad: boolean
}

/** What one function is at, as far as the main thread sees. */
export interface FunctionVitals {
  readonly name: string
  readonly version: string
  /** As in a diagnostic report; absent: it has no thread. */
  readonly thread?: number
  readonly isBusy: boolean
  /** The sum of all that it has handled and stored, ever; absent: not known yet. One that has got on was not at the same record. */
  readonly position?: number
  /** Its file is being loaded, in a thread that is thrown away afterwards. */
  readonly isLoading: boolean
}

/** Over the channel between the two processes. */
export type FromHost =
  | { readonly kind: 'listening'; readonly port: number }
  | { readonly kind: 'vitals'; readonly functions: readonly FunctionVitals[] }
  /** A person wants it to be tried again. */
  | { readonly kind: 'released'; readonly function: string }
