// The main thread's hold on one function's worker: starts it, speaks to it, and notices when it dies.
import type { EventLoopUtilization } from 'node:perf_hooks'
import { Worker } from 'node:worker_threads'
import { HostError as Failure, fromPlainError, type HostError } from '../errors.js'
import type { SharedLog } from '../log/log.js'
import type { VisitReport } from '../processor/visiting.js'
import { whenAwakeFor } from '../within.js'
import type { FromWorker, ToWorker, WorkerStart } from './messages.js'

export type ThreadRequest = ToWorker extends infer Each
  ? Each extends Exclude<ToWorker, { kind: 'heard' }>
    ? Omit<Each, 'id'>
    : never
  : never

/** What it tells by itself. */
export type ThreadMessage = Exclude<FromWorker, { kind: 'reply' | 'listening' }>

export interface ThreadOptions {
  /** The module that the thread runs. */
  readonly entry: URL
  readonly start: Omit<WorkerStart, 'log'>
  readonly log: SharedLog
  onMessage(message: ThreadMessage): void
  /** It has started, and does what it is asked; until then nothing is open there. */
  onListening(): void
  /** It should have started by now. */
  readonly loadMs: number
  onUnheard(): void
  /** It ended without having been asked to. */
  onDeath(error: HostError): void
}

interface Waiting {
  resolve(report: VisitReport | undefined): void
  reject(error: Error): void
}

/** Of its time: a thread that waits wakes up now and then, too. */
const busyShare = 0.1

export class FunctionWorker implements AsyncDisposable {
  readonly #worker: Worker
  readonly #name: string
  readonly #pending = new Map<number, Waiting>()
  readonly #exited: Promise<void>
  #utilization: EventLoopUtilization | undefined
  #lastId = 0
  #isListening = false
  #isExpected = false
  #hasExited = false

  constructor(options: ThreadOptions) {
    const { entry, start, log } = options
    this.#name = start.bundle.name
    const workerData: WorkerStart = { ...start, log: log.description }
    this.#worker = new Worker(entry, {
      workerData,
      transferList: [...log.transfer, ...(start.view === undefined ? [] : [start.view])],
      name: this.#name,
    })
    let cause: unknown
    const takeBack = whenAwakeFor(options.loadMs, () => options.onUnheard())
    this.#worker.on('message', (message: FromWorker | undefined) => {
      // Code of a function may post to the same port.
      if (typeof message?.kind !== 'string') return
      if (message.kind === 'reply') this.#reply(message)
      else if (message.kind === 'listening') {
        this.#isListening = true
        takeBack()
        options.onListening()
      } else {
        options.onMessage(message)
        if (message.kind === 'wiping') this.#heard(message.id)
      }
    })
    this.#worker.on('error', (error) => {
      cause = error
    })
    this.#exited = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        this.#hasExited = true
        takeBack()
        const error = this.#died(cause, code)
        for (const { reject } of this.#pending.values()) reject(error)
        this.#pending.clear()
        resolve()
        if (!this.#isExpected) options.onDeath(error)
      })
    })
  }

  get id(): number {
    return this.#worker.threadId
  }

  /** False: it is still starting, and does what it is asked when it has. */
  get isListening(): boolean {
    return this.#isListening
  }

  /** Has its thread been at work since this was last asked, also in a loop that does not end? */
  isBusy(): boolean {
    const { performance } = this.#worker
    const before = this.#utilization
    this.#utilization = performance.eventLoopUtilization()
    // One that has just been started is at work.
    if (before === undefined) return true
    return performance.eventLoopUtilization(this.#utilization, before).utilization > busyShare
  }

  /** Resolves when the worker has done it, with what it tells of a visit; rejects with what failed, or with WORKER_DIED. */
  async ask(request: ThreadRequest): Promise<VisitReport | undefined> {
    if (this.#hasExited) throw this.#died(undefined, 0)
    const id = ++this.#lastId
    const answered = new Promise<VisitReport | undefined>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject })
    })
    this.#worker.postMessage({ ...request, id })
    return await answered
  }

  /**
   * `late`: no answer within that time, and the thread was ended for it; `unheard`: so, too, but it was still starting; `died`: it ended by
   * itself. Rejects with what it refuses to do, a version that does not load for one: then it goes on as before.
   */
  async askWithin(
    request: ThreadRequest,
    withinMs: number,
  ): Promise<'done' | 'late' | 'unheard' | 'died'> {
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      this.#isExpected = true
      void this.#worker.terminate()
    }, withinMs)
    const refused = await this.ask(request).then(
      () => undefined,
      (error: unknown) => ({ error }),
    )
    clearTimeout(timer)
    // First: an answer that crossed the time-out comes from a thread that is being ended all the same.
    if (isLate) {
      await this.#exited
      return this.#isListening ? 'late' : 'unheard'
    }
    if (refused === undefined) return 'done'
    if (!this.#hasExited) throw refused.error
    await this.#exited
    return 'died'
  }

  /** Flushes and ends; ended from outside if that takes longer than `drainMs`. */
  async drain(drainMs: number): Promise<void> {
    this.#isExpected = true
    const timer = setTimeout(() => void this.#worker.terminate(), drainMs)
    try {
      await this.ask({ kind: 'drain' })
    } catch {
      // Dead or stuck: what it had not flushed is read again by the next owner.
      await this.#worker.terminate()
    }
    await this.#exited
    clearTimeout(timer)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isExpected = true
    await this.#worker.terminate()
    await this.#exited
  }

  #heard(id: number): void {
    this.#worker.postMessage({ kind: 'heard', id } satisfies ToWorker)
  }

  #reply({ id, error, report }: Extract<FromWorker, { kind: 'reply' }>): void {
    const waiting = this.#pending.get(id)
    this.#pending.delete(id)
    if (error === undefined) waiting?.resolve(report)
    else waiting?.reject(fromPlainError(error))
  }

  #died(cause: unknown, code: number): HostError {
    const why = cause instanceof Error ? cause.message : `exit code ${code}`
    const error = new Failure('WORKER_DIED', `the thread of ${this.#name} ended: ${why}`, {
      function: this.#name,
      ...(cause === undefined ? {} : { cause }),
    })
    if (cause instanceof Error && cause.stack !== undefined) error.stack = cause.stack
    return error
  }
}
