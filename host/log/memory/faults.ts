// What can go wrong, or merely be unexpected, in the memory log: what other logs do seldom, it does as often as it is told to.

/** Each a probability from 0 to 1; absent: never. */
export interface MemoryFaults {
  /** Before a record: offsets that nobody has, as compaction leaves them. */
  readonly gaps?: number
  /** Behind a commit or an atomic append, in each of its partitions: a control record that takes an offset. */
  readonly markers?: number
  /** Before an append: offsets without records, which are read as a batch of their own without records. */
  readonly emptyBatches?: number
  /** Before an append: somebody's transaction that holds back the stable end for a while, then is aborted. */
  readonly openTransactions?: number
  /** Before and after any operation: some turns of the event loop. */
  readonly delays?: number
  /** An append of outputs that leave at once rejects with LOG_FAILED; it was written as often as not. */
  readonly appendFailed?: number
  /** A commit ends as `failed`. */
  readonly failed?: number
  /** A commit ends as `unknown`; it was written as often as not. */
  readonly unknown?: number
}

export type Outcome =
  | { readonly kind: 'failed' }
  | { readonly kind: 'unknown'; readonly written: boolean }
