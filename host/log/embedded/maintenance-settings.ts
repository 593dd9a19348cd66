// How long and how much the log keeps, and when it sees to that.

export interface MaintenanceSettings {
  /** Of streams that were made without their own; −1: for ever. */
  readonly retentionMs: number
  /** What a partition of a stream may have at least; −1: any size. */
  readonly retentionBytes: number
  /** How long a table keeps a deletion, once compaction has found it. */
  readonly tombstoneRetentionMs: number
  /** Between two looks at everything. */
  readonly intervalMs: number
  readonly compaction: {
    /** What has to be new in a partition of a table before it is compacted. */
    readonly minBytes: number
    /** The share of what is new in it. */
    readonly dirtyRatio: number
    /** For the keys of one pass; what does not fit waits for the next. */
    readonly keyBytes: number
  }
}

const mebibyte = 1024 * 1024
const dayMs = 24 * 60 * 60 * 1000

export const defaultMaintenance: MaintenanceSettings = {
  retentionMs: 7 * dayMs,
  retentionBytes: -1,
  tombstoneRetentionMs: dayMs,
  intervalMs: 30_000,
  compaction: { minBytes: 4 * mebibyte, dirtyRatio: 0.5, keyBytes: 64 * mebibyte },
}
