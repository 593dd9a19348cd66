// How long each partition stood still, and since which fault.
import { percentile } from '#bench/figure.js'
import type { Fault, Kind } from './schedule.js'

/** Between two outputs of a partition. */
export interface Gap {
  readonly partition: number
  readonly fromMs: number
  readonly toMs: number
}

export class Progress {
  readonly gaps: Gap[] = []
  readonly #last = new Map<number, number>()

  /** In the order of time. */
  saw(partition: number, atMs: number): void {
    const fromMs = this.#last.get(partition)
    if (fromMs !== undefined) this.gaps.push({ partition, fromMs, toMs: atMs })
    this.#last.set(partition, atMs)
  }
}

/** When a fault was done to somebody, which may be later than it was to be. */
export type Done = Pick<Fault, 'kind'> & { readonly beganMs: number }

/** What was on its way when a fault began may still come out. */
const afterglowMs = 300

export interface Standstill {
  readonly kind: Kind
  /** Of each fault the longest that any partition stood still because of it. */
  readonly longestMs: readonly number[]
}

/** A gap is put down to the fault that began last before it. */
export function standstills(done: readonly Done[], gaps: readonly Gap[]): Standstill[] {
  const inOrder = [...done].sort((a, b) => a.beganMs - b.beganMs)
  const longest = new Map<Done, number>(inOrder.map((fault) => [fault, 0]))
  for (const { fromMs, toMs } of gaps) {
    const cause = inOrder.findLast(
      ({ beganMs }) => beganMs <= fromMs + afterglowMs && beganMs < toMs,
    )
    if (cause !== undefined) longest.set(cause, Math.max(longest.get(cause) ?? 0, toMs - fromMs))
  }
  const kinds = new Map<Kind, number[]>()
  for (const [{ kind }, ms] of longest) kinds.set(kind, [...(kinds.get(kind) ?? []), ms])
  return [...kinds].map(([kind, longestMs]) => ({ kind, longestMs }))
}

export function quantiles(ms: readonly number[]): readonly [p50: number, p99: number, max: number] {
  return [percentile(ms, 0.5), percentile(ms, 0.99), Math.max(...ms)]
}
