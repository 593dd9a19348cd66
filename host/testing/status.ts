// What a test can see of a function.
import type { HostError } from '../errors.js'

/** A line that a handler has written by `ctx.log`. */
export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
  readonly key: string
}

/** A record that was given up, and why. */
export interface FailedRecord {
  readonly error: Error
  readonly stream: string
  readonly partition: number
  readonly offset: number
  readonly key: string
  readonly attempts: number
}

/** What is known of a function under test. */
export interface FunctionStatus {
  readonly name: string
  readonly state: 'recovering' | 'running' | 'paused' | 'halted'
  /** Why it has halted; its cause is what the handler threw. */
  readonly error: HostError | undefined
  /** Records handled since the process began, which a crash ends. */
  readonly records: number
  /** Records of its inputs that are not handled and stored yet; gaps and markers of the log count. */
  readonly lag: number
  /** Given up by `onError: 'skip'`. */
  readonly skipped: readonly FailedRecord[]
  readonly lines: readonly LogLine[]
}
