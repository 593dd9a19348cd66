// What the simulation assumes: the sizes of a deployment, and what each step costs. Where a figure was measured, it says where.

export interface Costs {
  readonly partitions: number
  readonly instances: number
  /** Of all tables of the function, as they are stored. */
  readonly tableBytes: number
  /** Key and value of a changelog record. */
  readonly recordBytes: number
  /** Bytes of the changelog for each byte of the table: what compaction has not taken yet. Kafka lets half of a log be superseded. */
  readonly changelogRatio: number
  /** Bytes of a disk for each byte of a table: LevelDB's superseded values. */
  readonly diskRatio: number
  /** Written to the whole table. */
  readonly changedBytesPerSecond: number
  /** Of one instance: 1,000,000 small records in 1.9 s (docs/performance.md, recovery). */
  readonly replayRecordsPerSecond: number
  /**
   * Of one instance, however large the records: 300,000 of 1 kB were replayed at 90 MB/s and more; half of it, since LevelDB has more to sort
   * in a table that is larger.
   */
  readonly replayBytesPerSecond: number
  readonly brokers: number
  /** What one broker hands out to those who recover: as assumed, not measured. */
  readonly brokerReadBytesPerSecond: number
  /** Of one broker: as assumed, not measured. */
  readonly brokerTransactionsPerSecond: number
  readonly brokerMaxMessageBytes: number
  readonly flushIntervalMs: number
  readonly flushMaxIntervalMs: number
  readonly sessionTimeoutMs: number
  readonly heartbeatMs: number
  /** A flush, and what it waits for, before partitions are given up: docs/performance.md, emit to view. */
  readonly drainMs: number
  /** From the last member's request to join to the assignment. */
  readonly joinMs: number
  /** The fence of one partition: 12 transactional ids were initialised in 7 to 14 ms. */
  readonly fenceMs: number
  /** From the end of a process to the new one's request to join. */
  readonly restartMs: number
  /** As in the settings of the log. */
  readonly acceptableLag: number
  readonly probingIntervalMs: number
  readonly cleanupDelayMs: number
  /** Of the host with one function, without what follows. */
  readonly hostBytes: number
  /** Write buffers, block cache, value cache and fetched records of a function, as they are set by default. */
  readonly functionBytes: number
}

const [MB, GB, TB] = [1e6, 1e9, 1e12]

export const defaults: Costs = {
  partitions: 1_000,
  instances: 100,
  tableBytes: 1 * TB,
  recordBytes: 1_000,
  changelogRatio: 1.5,
  diskRatio: 1.1,
  changedBytesPerSecond: 100 * MB,
  replayRecordsPerSecond: 500_000,
  replayBytesPerSecond: 50 * MB,
  brokers: 12,
  brokerReadBytesPerSecond: 200 * MB,
  brokerTransactionsPerSecond: 1_000,
  brokerMaxMessageBytes: 1_048_588,
  flushIntervalMs: 100,
  flushMaxIntervalMs: 1_000,
  sessionTimeoutMs: 10_000,
  heartbeatMs: 300,
  drainMs: 100,
  joinMs: 50,
  fenceMs: 1,
  restartMs: 5_000,
  acceptableLag: 10_000,
  probingIntervalMs: 30_000,
  cleanupDelayMs: 600_000,
  hostBytes: 0.15 * GB,
  functionBytes: (2 * 16 + 16 + 64 + 2 * 4) * MB,
}
