// What a test may say of its host, and what holds if it says nothing: what the host's own configuration has.
import type { MemoryFaults } from '../log/memory/log.js'
import type { FlushLimits } from '../processor/task.js'

export interface TestHostOptions {
  /** Chooses when a `crash` strikes and, with `faults`, what the log does. The same seed, the same course. Default: 1. */
  readonly seed?: number
  /**
   * The log does, as often as the seed will have it, what logs do seldom: gaps, markers, empty batches, open transactions,
   * delays, commits that fail or whose outcome is unknown. A function's results have to be the same. Default: false.
   */
  readonly faults?: boolean | MemoryFaults
  /** Of each stream and table. Default: 4, as in a host. */
  readonly partitions?: number
  /** In front of the names of topics and groups. Default: none. */
  readonly namespace?: string
  /** Where the clock begins, in milliseconds since 1970. Default: 2025-01-01T00:00:00Z. */
  readonly startTime?: number
  /** As in host.config.json; of virtual time. */
  readonly flush?: Partial<FlushLimits>
  /** As `cache.maxBytes` in host.config.json. */
  readonly cacheBytes?: number
  /** As `log.maxRecordBytes` in host.config.json. */
  readonly maxRecordBytes?: number
  /** Of real time: whatever waits longer rejects and says what for. Default: 4,000. */
  readonly timeoutMs?: number
}

export interface Settings {
  readonly seed: number
  readonly faults: MemoryFaults
  readonly partitions: number
  readonly namespace: string
  readonly startTime: number
  readonly flush: FlushLimits
  readonly cacheBytes: number
  readonly maxRecordBytes: number
  readonly tombstoneRetentionMs: number
  readonly timeoutMs: number
}

/** Everything now and then. */
export const roughLog: MemoryFaults = {
  gaps: 0.2,
  markers: 0.5,
  emptyBatches: 0.1,
  openTransactions: 0.1,
  delays: 0.5,
  appendFailed: 0.1,
  failed: 0.1,
  unknown: 0.1,
}

const mebibyte = 1024 * 1024

export function settingsOf(options: TestHostOptions): Settings {
  const { faults = false } = options
  return {
    seed: options.seed ?? 1,
    faults: typeof faults === 'object' ? faults : faults ? roughLog : {},
    partitions: options.partitions ?? 4,
    namespace: options.namespace ?? '',
    startTime: options.startTime ?? Date.UTC(2025, 0, 1),
    flush: {
      intervalMs: 100,
      maxIntervalMs: 1000,
      maxBytes: 16 * mebibyte,
      maxUnfinished: 10_000,
      ...options.flush,
    },
    cacheBytes: options.cacheBytes ?? 64 * mebibyte,
    maxRecordBytes: options.maxRecordBytes ?? 8 * mebibyte,
    tombstoneRetentionMs: 24 * 60 * 60 * 1000,
    timeoutMs: options.timeoutMs ?? 4_000,
  }
}
