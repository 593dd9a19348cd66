// Keeps a function's thread running over its table: one at a time, and anew after a growing pause when it fails.
import { asHostError, HostError } from '../errors.js'
import type { Logger } from '../logger.js'
import { backoffMs } from '../processor/clock.js'
import type { VisitEnd, VisitReport } from '../processor/visiting.js'
import { settlesWithin } from '../within.js'
import type { HeldTable } from './held-table.js'
import type { Version } from './messages.js'
import {
  FunctionWorker,
  type ThreadMessage,
  type ThreadOptions,
  type ThreadRequest,
} from './thread.js'

export interface KeptThreadOptions {
  readonly table: HeldTable | undefined
  readonly drainMs: number
  readonly loadMs: number
  readonly logger: Logger
  /** False: its table is opened for who reads it, and no thread is started. */
  mayStart(): boolean
  /** Asked at each start. */
  start(): Pick<ThreadOptions, 'entry' | 'start' | 'log'>
  hear(message: ThreadMessage): void
  /** It has started, and hears what it is told. Nothing is open there. */
  listens(): void
  /** What went wrong, before it is started anew. */
  failed(failure: ThreadFailure): void
}

/** Why it was ended, in words. */
export const notAtBoundary = (drainMs: number): string =>
  `it did not come to a record boundary within ${drainMs} ms (limits.drainMs): its thread was ended, a new one takes up what it had not flushed; look for a handler that does not return, or a machine that has too much to do`

const notStarted = (loadMs: number): string =>
  `its thread has not started within ${loadMs} ms (limits.loadMs), and is waited for: look for code outside of the handlers, or a store of its own, that does not come to its end, or a machine that has too much to do; a save and \`restart\` end it`

export interface ThreadFailure {
  readonly what: string
  readonly error: HostError
  /** Before it is tried again. */
  readonly pauseMs: number
}

/** `unheard`: it was still starting. */
export type Outcome = 'done' | 'late' | 'unheard' | 'died' | 'absent'

const backoffBaseMs = 100
const backoffMaxMs = 30_000
/** For what is no fault of the thread's, such as a full disk: it may pass at any time. */
const troubleMaxMs = 2_000
/** A thread that lived for this long has not died of what killed the one before. */
const soundLifeMs = 60_000

export class KeptThread implements AsyncDisposable {
  readonly #options: KeptThreadOptions
  #worker: FunctionWorker | undefined
  /** Of the thread before, and of the table if that has to be opened anew: the next thread starts after it. Never rejects. */
  #ending: Promise<void> = Promise.resolve()
  /** Raised by each launch and each end: a launch that was overtaken does nothing more. */
  #turn = 0
  #failures = 0
  #triedAt = Date.now()
  #retry: { readonly timer: NodeJS.Timeout; again(): Promise<void> } | undefined
  #isSuspended = false
  #isDisposed = false

  constructor(options: KeptThreadOptions) {
    this.#options = options
  }

  get isThere(): boolean {
    return this.#worker !== undefined
  }

  /** It is there, and does not hear yet: nothing is open. */
  get isStarting(): boolean {
    return this.#worker?.isListening === false
  }

  /** What it is at since this was last asked; undefined: there is none. */
  vitals(): { readonly thread: number; readonly isBusy: boolean } | undefined {
    const worker = this.#worker
    return worker && { thread: worker.id, isBusy: worker.isBusy() }
  }

  /** Never rejects: what fails is tried again. */
  async launch(): Promise<void> {
    if (this.#isSuspended) return
    const turn = this.#next()
    this.#triedAt = Date.now()
    let what = 'the table cannot be opened'
    try {
      if (this.#worker !== undefined) void this.#retire()
      await this.#ending
      if (turn !== this.#turn) return
      // Before the worker: who opens a shared store first has to close it last.
      await this.#options.table?.open()
      if (turn !== this.#turn || !this.#options.mayStart()) return
      what = 'its thread cannot be started'
      this.#spawn()
    } catch (error) {
      if (turn === this.#turn) this.retry(what, asHostError(error))
    }
  }

  /**
   * `absent`: there was none. After all but `done` there is none. Rejects with what the thread refuses to do. One that is still starting
   * does it before anything is open there: that is as good as done.
   */
  async ask(request: ThreadRequest): Promise<Outcome> {
    if (this.isStarting) {
      this.tell(request)
      return 'done'
    }
    return await this.#askWithin(request)
  }

  async #askWithin(request: ThreadRequest): Promise<Outcome> {
    const worker = this.#worker
    if (worker === undefined) return 'absent'
    const outcome = await worker.askWithin(request, this.#options.drainMs)
    if (outcome !== 'done' && this.#worker === worker) this.#worker = undefined
    return outcome
  }

  /** Resolves when the thread has loaded its code, has ended, or takes too long for that. */
  async ready(): Promise<void> {
    const ready = this.#worker?.ask({ kind: 'ready' })
    if (ready !== undefined) await settlesWithin(ready, this.#options.drainMs)
  }

  /** Not waited for: should it end before it has heard of it, the next one is told what is so then. */
  tell(request: ThreadRequest): void {
    const worker = this.#worker
    void worker?.ask(request).catch((error) => {
      if (this.#worker === worker) this.retry('its thread refuses to go on', asHostError(error))
    })
  }

  /** Rejects if the version does not load: the running one stays. */
  async swap(version: Version): Promise<Outcome> {
    const outcome = await this.#askWithin({ kind: 'swap', version })
    if (outcome === 'done') this.#failures = 0
    return outcome
  }

  /** `report` rejects with what the thread refuses to do, or with WORKER_DIED. */
  visit(of: Omit<Extract<ThreadRequest, { kind: 'visit' }>, 'kind'>): {
    readonly report: Promise<VisitReport>
    end(why: VisitEnd): void
  } {
    const worker = this.#worker
    return {
      report: visited(worker, of),
      // One that has died has ended it already.
      end: (why) => void worker?.ask({ kind: 'endVisit', why }).catch(() => {}),
    }
  }

  /** Of a view. Rejects with what the thread does, and with RECOVERING if there is none. */
  async evict(partition: number, key: Uint8Array): Promise<void> {
    const worker = this.#worker
    if (worker === undefined) throw isStarting()
    await worker.ask({ kind: 'evict', partition, key })
  }

  /** Drains the thread, and starts none until the next `launch`. */
  async end(): Promise<void> {
    this.#next()
    await this.#retire()
  }

  /** Drains the thread, and starts none until `resume`, whatever is asked for. */
  async suspend(): Promise<void> {
    this.#isSuspended = true
    this.#turn += 1
    await this.#retire()
  }

  /** What was to be tried again is tried now. */
  async resume(mayLaunch: boolean): Promise<void> {
    this.#isSuspended = false
    this.#failures = 0
    const again = this.#retry?.again ?? (mayLaunch ? () => this.launch() : undefined)
    this.#next()
    await again?.()
  }

  /** A store that keeps refusing is healed by nothing less than closing every handle. */
  reopen(error: HostError): void {
    if (this.#isDisposed) return
    const damage = error.code === 'STORE_DAMAGED' ? error : undefined
    void this.#retire(() => this.#options.table?.close(damage))
    // What waits to be tried again may be more than a launch, and opens the table, too.
    this.retry('its table has to be opened anew', error, this.#retry?.again)
  }

  /** After a growing pause. The thread, if there still is one, is ended. */
  retry(what: string, error: HostError, again: () => Promise<void> = () => this.launch()): void {
    if (this.#isDisposed) return
    if (this.#worker !== undefined) void this.#retire()
    this.#next()
    this.#failures = Date.now() - this.#triedAt > soundLifeMs ? 0 : this.#failures + 1
    const maxMs = error.code === 'WORKER_DIED' ? backoffMaxMs : troubleMaxMs
    const pauseMs = backoffMs(this.#failures, backoffBaseMs, maxMs)
    this.#options.failed({ what, error, pauseMs })
    const timer = setTimeout(() => {
      this.#retry = undefined
      this.#triedAt = Date.now()
      void again()
    }, pauseMs)
    this.#retry = { timer, again }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true
    await this.end()
  }

  #next(): number {
    clearTimeout(this.#retry?.timer)
    this.#retry = undefined
    this.#turn += 1
    return this.#turn
  }

  #spawn(): void {
    const { start, hear, listens, loadMs, logger } = this.#options
    const worker: FunctionWorker = new FunctionWorker({
      ...start(),
      loadMs,
      onMessage: (message) => {
        if (message.kind === 'wiping') this.#options.table?.wiping()
        // One that is being ended may still wipe what it was about to open.
        if (this.#worker === worker || message.kind === 'wiping') hear(message)
      },
      onListening: () => {
        if (this.#worker === worker) listens()
      },
      // It may come to its end yet, and would not be quicker in another thread.
      onUnheard: () => {
        if (this.#worker === worker) logger.warn(notStarted(loadMs))
      },
      onDeath: (error) => {
        if (this.#worker !== worker) return
        this.#worker = undefined
        this.retry('its thread ended', error)
      },
    })
    this.#worker = worker
  }

  #retire(after?: () => Promise<void> | undefined): Promise<void> {
    const { drainMs, logger } = this.#options
    const worker = this.#worker
    this.#worker = undefined
    const before = this.#ending
    const end = async () => {
      await before
      try {
        await worker?.drain(drainMs)
        await after?.()
      } catch (error) {
        logger.warn(`its thread or its table did not end well: ${asHostError(error).message}`)
      }
    }
    this.#ending = end()
    return this.#ending
  }
}

async function visited(
  worker: FunctionWorker | undefined,
  of: Omit<Extract<ThreadRequest, { kind: 'visit' }>, 'kind'>,
): Promise<VisitReport> {
  const report = await worker?.ask({ kind: 'visit', ...of })
  if (report !== undefined) return report
  throw isStarting()
}

const isStarting = () => new HostError('RECOVERING', 'its thread is being started: try again')
