// What becomes of a function's thread, and of what is shown of its partitions, while its group is shared out anew.
import { asHostError } from '../errors.js'
import type { Assignment } from '../log/log.js'
import type { Logger } from '../logger.js'
import type { Condition } from './condition.js'
import { type KeptThread, notAtBoundary } from './kept-thread.js'
import type { ThreadRequest } from './thread.js'

export interface HandOffOptions {
  readonly thread: Pick<KeptThread, 'isThere' | 'isStarting' | 'ask' | 'tell' | 'end'>
  readonly condition: Condition
  readonly drainMs: number
  readonly logger: Logger
  /** What is to be open in its thread now. */
  share(): Pick<Assignment, 'partitions' | 'standbys'>
  /** Starts a thread for what it has, if it may have one. */
  launch(): Promise<void>
}

export class HandOff {
  readonly #options: HandOffOptions
  /** Since then its partitions are being shared out anew; undefined: they are not. */
  #revokedAt: number | undefined
  /** How often something was assigned. */
  #assignments = 0

  constructor(options: HandOffOptions) {
    this.#options = options
  }

  /** Its thread has started, with nothing open: it is told what is to be open by now. */
  listens(): void {
    const { thread, condition, share } = this.#options
    // What comes of it is told then.
    if (this.#revokedAt !== undefined) return
    const { partitions, standbys } = share()
    if (partitions.length + standbys.length > 0) {
      thread.tell({ kind: 'assign', partitions, kept: [], standbys })
    }
    // Others have all of it by now. One that is not in its group yet waits for its first.
    else if (condition.phase === 'active') void thread.end()
  }

  /** The thread comes to a record boundary, flushes and waits, or is ended: nothing more is written. `isLast`: it gets no others. */
  async revoked(isLast: boolean): Promise<void> {
    const { thread, condition } = this.#options
    this.#revokedAt = performance.now()
    if (condition.phase === 'active') condition.enter('joining')
    // Nothing is open there, nor will be before it is told: it goes on starting.
    if (thread.isStarting) return
    if (await this.#isDone({ kind: 'revoke', isLast })) return
    // What was to start one is over.
    await this.#endThread()
  }

  /** What the thread keeps goes on at once. Without a thread, or should it not answer, another one opens all of it. */
  async takenUp({ partitions, kept, standbys }: Assignment): Promise<void> {
    const { thread, condition, logger, launch } = this.#options
    const { isStarting } = thread
    const revokedAt = this.#revokedAt
    this.#revokedAt = undefined
    this.#assignments += 1
    // It has stood still since they were revoked, or has had none yet.
    const goesOn = isStarting || (thread.isThere && partitions.length + standbys.length > 0)
    // Before anything is awaited: from now on its lease holds again, and what it has no more must not be read.
    if (goesOn) condition.assigned({ partitions, kept: isStarting ? [] : kept, standbys })
    else {
      condition.lostAll()
      // Nobody is to take it for one that has caught up while its thread is still to start.
      if (condition.quarantined === undefined) condition.recovering(partitions)
    }
    condition.enter('active')
    // It is told when it listens, for which nobody waits.
    if (isStarting) return
    if (!goesOn) await thread.end()
    const request = { kind: 'assign', partitions, kept, standbys } as const
    if (!goesOn) await launch()
    // Begun ahead of its first partitions: nobody knows how long that takes.
    else if (revokedAt === undefined) thread.tell(request)
    else if (await this.#isDone(request)) {
      const pauseMs = Math.round(performance.now() - revokedAt)
      const told = { partitions, kept, standbys, pauseMs }
      logger.info('its partitions were shared out anew', told)
    } else await launch()
  }

  /** It is no member any more. */
  async givenUp(): Promise<void> {
    const { thread, condition } = this.#options
    this.#revokedAt = undefined
    if (condition.phase === 'active') condition.enter('joining')
    // As when they are revoked.
    if (thread.isStarting) condition.lostAll()
    else await this.#endThread()
  }

  /** With what it had; what was assigned meanwhile, be it copies alone, is another's. */
  async #endThread(): Promise<void> {
    const { thread, condition } = this.#options
    const before = this.#assignments
    await thread.end()
    if (this.#assignments === before) condition.lostAll()
  }

  async #isDone(request: ThreadRequest): Promise<boolean> {
    const { thread, drainMs, logger } = this.#options
    try {
      const outcome = await thread.ask(request)
      if (outcome === 'late') logger.warn(notAtBoundary(drainMs))
      return outcome === 'done'
    } catch (error) {
      logger.warn(`its thread refuses to go on: ${asHostError(error).message}`)
      return false
    }
  }
}
