// How long a move tries again what passes by itself: for so long without any success, and not when it is stopped.
import { setTimeout as rest } from 'node:timers/promises'
import { HostError } from '../errors.js'
import type { Commit, LogWriter } from '../log/log.js'
import { unlessAborted } from '../within.js'

export interface PatienceOptions {
  readonly patienceMs: number
  readonly signal: AbortSignal
  /** Something is tried again. */
  notice(text: string): void
}

const pauseMinMs = 20
const pauseMaxMs = 1_000

export class Patience {
  readonly #options: PatienceOptions
  #since: number | undefined
  #pauseMs = pauseMinMs

  constructor(options: PatienceOptions) {
    this.#options = options
  }

  succeeded(): void {
    this.#since = undefined
    this.#pauseMs = pauseMinMs
  }

  /** Resolves when it is worth another try; else throws the reason of the stop, or the cause. */
  async after(cause: unknown): Promise<void> {
    const { signal, patienceMs, notice } = this.#options
    signal.throwIfAborted()
    if (!(cause instanceof HostError) || !cause.retryable) throw cause
    const now = performance.now()
    if (this.#since === undefined) notice(cause.message)
    this.#since ??= now
    if (now - this.#since > patienceMs) throw cause
    // What it throws when it is cut short is Node's own error.
    await rest(this.#pauseMs, undefined, { signal }).catch(() => {})
    signal.throwIfAborted()
    this.#pauseMs = Math.min(this.#pauseMs * 2, pauseMaxMs)
  }

  /** What is asked for is not waited for any more when it is stopped: a log asks for long by itself. */
  async ask<T>(work: () => Promise<T>): Promise<T> {
    const { signal } = this.#options
    for (;;) {
      signal.throwIfAborted()
      try {
        const found = await unlessAborted(work(), signal)
        this.succeeded()
        return found
      } catch (thrown) {
        await this.after(thrown)
      }
    }
  }

  /** `unknown`: the writer is to be opened anew. Throws FENCED, with what the caller says of it. */
  async commit(
    writer: LogWriter,
    commit: Commit,
    fenced: () => HostError,
  ): Promise<'committed' | 'unknown'> {
    for (;;) {
      const outcome = await writer.commit(commit)
      switch (outcome.kind) {
        case 'committed':
          this.succeeded()
          return 'committed'
        case 'failed':
          await this.after(outcome.cause)
          break
        case 'unknown':
          await this.after(outcome.cause)
          return 'unknown'
        case 'fenced':
          throw fenced()
      }
    }
  }
}
