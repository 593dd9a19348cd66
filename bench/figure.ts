// What a figure of the bench is: samples of one interleaved series of runs, and those of the peer that ran in between.
import type { BenchLog } from './log.js'

export interface BenchOptions {
  readonly events: number
  readonly runs: number
  readonly log: BenchLog
  /** Temporary; removed at the end. */
  readonly folder: string
  /** Says what goes on, for whoever waits. */
  say(message: string): void
}

export interface Result {
  readonly name: string
  readonly unit: string
  /** One for each run. */
  readonly samples: readonly number[]
  /** What the median is meant to be. */
  readonly target?: Target
  /** Ran in turns with it: sample by sample, what the machine did besides hits both. */
  readonly peer?: {
    readonly name: string
    readonly samples: readonly number[]
    /** What the ratio is meant to be. */
    readonly target?: Target
  }
}

export type Target = { readonly atLeast: number } | { readonly atMost: number }

export interface Figure {
  readonly name: string
  /** Of the embedded log, or of none. */
  readonly isEmbedded?: boolean
  measure(options: BenchOptions): Promise<readonly Result[]>
}

export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b)
  const [lower, upper] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]]
  return ((lower ?? Number.NaN) + (upper ?? Number.NaN)) / 2
}

/** The sample below which `share` of all lie; not interpolated. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
}

/** Times of `performance.now()`. */
export function perSecond(count: number, from: number, until: number): number {
  return (count * 1000) / (until - from)
}

/** The median of the ratios of each run, not the ratio of the medians. */
export function ratio({ samples, peer }: Result): number | undefined {
  if (peer === undefined) return undefined
  return median(samples.map((sample, run) => sample / (peer.samples[run] ?? Number.NaN)))
}
