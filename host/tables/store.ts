// The store port: where a function keeps its table, one store a function, divided by partition.

/** What a partition knows of itself, written in one atomic batch with the values that it speaks of. */
export interface PartitionMeta {
  /** Of the layout of the store's own keys and of this record. */
  readonly layout: number
  readonly changelog: {
    readonly topic: string
    readonly topicId: string
    /** The next changelog offset to apply. */
    readonly next: number
    /** Of what lies before it, or that in which the log was when it was opened: as in `Position`. */
    readonly leaderEpoch: number
  }
  /** When the store was last known to be at the changelog's end, in ms since 1970. */
  readonly appliedAt: number
  /** The positions in the inputs as of the last flush. */
  readonly inputs: readonly StoredPosition[]
}

export interface StoredPosition {
  readonly topic: string
  readonly topicId: string
  readonly offset: number
  /** As in `Position`. */
  readonly leaderEpoch?: number
}

/** A value of `null` deletes the key. Keys are the record's key bytes, without any prefix of the store. */
export type Change = readonly [key: Buffer, value: Buffer | null]

export interface Entry {
  readonly key: Buffer
  readonly value: Buffer
}

export interface RangeOptions {
  /** Inclusive lower bound; absent: from the first key. */
  readonly from?: Buffer
  /** Exclusive upper bound; absent: to the last key. */
  readonly to?: Buffer
  /** From the last key down. */
  readonly isReverse?: boolean
}

/** One partition of a table. Reads see every settled write; keys are ordered by their bytes. */
export interface PartitionStore {
  /** Synchronous, on purpose: the hot path reads here. */
  get(key: Buffer): Buffer | undefined
  /** Values and meta, in one atomic batch. Resolves when it survives the death of the process. Last change of a key wins. */
  write(changes: Iterable<Change>, meta: PartitionMeta): Promise<void>
  /** Undefined: nothing local, or a wipe that was interrupted (then `wipe` has to be called again). */
  meta(): PartitionMeta | undefined
  /**
   * Marks the partition as being wiped and drops its meta in one batch, then deletes its keys, then the mark. A
   * crash in between leaves a partition without meta, whose next wipe finishes the work.
   */
  wipe(): Promise<void>
  /** There is a table, or the rest of one. */
  isThere(): boolean
  /**
   * As `wipe`, of what nobody needs: in steps, between which others are written. Aborted in between it resolves all the same, and leaves
   * what a wipe that was interrupted does.
   */
  drop(signal: AbortSignal): Promise<void>
  /** In key order, or the reverse of it, over a snapshot taken at the call. */
  range(options?: RangeOptions): AsyncIterable<Entry[]>
}

/** A partition of another function's table, or of one that another system writes. */
export interface CopiedPartition {
  /** The table's topic. */
  readonly topic: string
  readonly partition: number
}

export interface TableStore extends AsyncDisposable {
  partition(partition: number): PartitionStore
  /** Kept beside the table, and apart from it. */
  copy(of: CopiedPartition): PartitionStore
  /** Those of which there is anything, also the rest of a wipe. */
  copies(): Promise<readonly CopiedPartition[]>
}
