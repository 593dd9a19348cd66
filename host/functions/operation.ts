// What a person may have a function do.
import type { VisitProgress, VisitReport } from '../processor/visiting.js'

export const operations = ['pause', 'resume', 'restart'] as const

/**
 * `pause`: it stops at the next record boundary, flushed. `resume`: it goes on, also after it has halted, then at that record.
 * `restart`: its thread is ended, whatever it is at, and started anew from what is flushed.
 */
export type Operation = (typeof operations)[number]

export interface VisitOrder {
  readonly visitor: string
  /** JSON, given to each visit. */
  readonly argument: string | undefined
  /** The keys are counted beside it. */
  readonly isCounted: boolean
  /** That this host has to have, and no others. Absent: whichever it has. */
  readonly partitions?: readonly number[]
  /** Ends it; its reason is `drained` when the host stops. */
  readonly signal: AbortSignal
  /** At its beginning, and whenever more of it is stored. */
  progressed(progress: VisitProgress): void
}

/** Whom it was asked of: this host, or all that share its log. Of those each does it as soon as it hears of it. */
export type Asked = 'here' | 'all'

export interface ResetReport {
  /** That were deleted. */
  readonly topics: readonly string[]
  /** Of its group, that were forgotten. */
  readonly positions: number
}

export interface Operator {
  /** Resolves when it is done here; undefined: there is no such function. */
  operate(functionName: string, operation: Operation): Promise<Asked | undefined>
  /** The function begins anew from its inputs. Resolves when it has begun to; undefined: there is no such function. */
  reset(functionName: string): Promise<(ResetReport & { readonly asked: Asked }) | undefined>
  /** Resolves when every key has been visited, and what that did is stored; undefined: there is no such function. */
  visit(functionName: string, order: VisitOrder): Promise<VisitReport | undefined>
  /** Removes a key from a view until its next record comes; false: there is no such view. */
  evict(viewName: string, partition: number, key: Buffer): Promise<boolean>
  /** Somebody says that the function's group has changed: it finds out at once. */
  heartbeat(functionName: string): void
}
