// The outputs of one task that leave ahead of its flush (`delivery: 'at-least-once'`): appended in order, one call at a time.
import { HostError } from '../errors.js'
import type { RecordToAppend } from '../log/log.js'
import { backoffMs, type Clock } from './clock.js'
import { heldBytes } from './context.js'
import { Pause } from './pause.js'

export interface OutboxOptions {
  readonly clock: Clock
  append(records: readonly RecordToAppend[]): Promise<unknown>
  /** It is tried again. */
  onRetry(cause: unknown, attempt: number): void
  /** The log will never take it; nothing is sent any more. */
  onRefused(cause: unknown): void
  /** There is room again. */
  wake(): void
}

interface Waiting {
  readonly record: RecordToAppend
  readonly bytes: number
}

interface Waiter {
  /** As many have to be in the log, counted from the first one. */
  readonly count: number
  settle(isSent: boolean): void
}

// Enough to keep a log busy, little enough for a failed call to be no great repetition.
const callBytes = 1024 * 1024
const retryBaseMs = 20
const retryMaxMs = 1_000

export class Outbox {
  readonly #options: OutboxOptions
  readonly #pause: Pause
  #waiting: Waiting[] = []
  /** Of what is not known to be in the log. */
  #bytes = 0
  #added = 0
  #sent = 0
  #waiters: Waiter[] = []
  #sending: Promise<void> | undefined
  #isSending = false
  #isClosed = false

  constructor(options: OutboxOptions) {
    this.#options = options
    this.#pause = new Pause(options.clock)
  }

  /** Of what is not known to be in the log. */
  get bytes(): number {
    return this.#bytes
  }

  add(records: readonly RecordToAppend[]): void {
    if (this.#isClosed || records.length === 0) return
    for (const record of records) {
      const bytes = heldBytes(record)
      this.#waiting.push({ record, bytes })
      this.#bytes += bytes
    }
    this.#added += records.length
    if (this.#isSending) return
    this.#isSending = true
    this.#sending = this.#send()
  }

  /** Resolves when everything that was added so far is in the log; false: it was closed before. */
  async sent(): Promise<boolean> {
    if (this.#sent === this.#added) return true
    if (this.#isClosed) return false
    const count = this.#added
    return await new Promise<boolean>((settle) => this.#waiters.push({ count, settle }))
  }

  /** No further try. Resolves when the call under way has settled. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#pause.end()
    for (const { settle } of this.#waiters.splice(0)) settle(false)
    await this.#sending
  }

  async #send(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#isClosed) {
      const call = this.#take()
      if (!(await this.#append(call.map(({ record }) => record)))) return
      for (const { bytes } of call) this.#bytes -= bytes
      this.#sent += call.length
      while (this.#waiters[0] !== undefined && this.#waiters[0].count <= this.#sent) {
        this.#waiters.shift()?.settle(true)
      }
      this.#options.wake()
    }
    // In the same turn as the look at what waits: what is added next begins anew.
    this.#isSending = false
  }

  #take(): readonly Waiting[] {
    let bytes = 0
    let count = 0
    for (const waiting of this.#waiting) {
      bytes += waiting.bytes
      if (count > 0 && bytes > callBytes) break
      count += 1
    }
    return this.#waiting.splice(0, count)
  }

  /** The identical records again and again: what comes behind them must not overtake them. */
  async #append(records: readonly RecordToAppend[]): Promise<boolean> {
    for (let attempt = 0; !this.#isClosed; attempt += 1) {
      try {
        await this.#options.append(records)
        return true
      } catch (cause) {
        if (this.#isClosed) return false
        if (cause instanceof HostError && !cause.retryable) {
          this.#options.onRefused(cause)
          return false
        }
        this.#options.onRetry(cause, attempt)
        await this.#pause.wait(backoffMs(attempt, retryBaseMs, retryMaxMs))
      }
    }
    return false
  }
}
