// The embedded log as the main thread keeps it: when the disk has refused a write it is closed by everybody, and opened anew as
// soon as there is room. A handle whose write has failed cannot be trusted: what is written behind a torn record may be lost.
import { setTimeout as pause } from 'node:timers/promises'
import { asHostError, HostError } from '../../errors.js'
import type { Logger } from '../../logger.js'
import type {
  AppendOptions,
  DescribeOptions,
  JoinOptions,
  Log,
  LogReader,
  LogWriter,
  Membership,
  Position,
  ReaderOptions,
  RecordToAppend,
  RemoveOptions,
  SharedLog,
  TopicInfo,
  TopicPartition,
  TopicSpec,
  WriterOptions,
} from '../log.js'
import { logClosed } from '../problems.js'
import { isDiskFull, isDiskTrouble } from './database.js'
import { tooFull } from './disk-space.js'
import type { EmbeddedLogOptions } from './log.js'

export interface KeptLogOptions extends Omit<EmbeddedLogOptions, 'onFailure' | 'onDisk'> {
  readonly logger: Logger
  open(options: EmbeddedLogOptions): Promise<Log>
  /** Called once, when it has failed in a way that opening it anew does not mend. */
  readonly onFailure: (error: HostError) => void
  /** Ends the wait for room at the start. */
  readonly signal?: AbortSignal | undefined
}

/** All that has the log open in other threads. */
export interface LogUsers {
  /** Resolves when it is closed in all of them; they open it no more until `reclaimLog`. */
  releaseLog(error: HostError): Promise<void>
  reclaimLog(): void
}

const retryMinMs = 100
const retryMaxMs = 2_000
const sayAgainMs = 60_000
/** One that was open for so long is opened anew at once. */
const soundMs = 10_000

export class KeptLog implements Log {
  readonly #options: KeptLogOptions
  readonly #end = new AbortController()
  #users: LogUsers | undefined
  #open: Log | undefined
  /** Why it is not open. */
  #trouble: HostError | undefined
  /** Why it is open, and takes nothing. */
  #noRoom: HostError | undefined
  #reopening: Promise<void> = Promise.resolve()
  #openedAt = 0
  #restMs = 0
  #closing: Promise<void> | undefined

  private constructor(options: KeptLogOptions) {
    this.#options = options
  }

  /** On a full disk it waits for room. Rejects as `openEmbeddedLog` does. */
  static async open(options: KeptLogOptions): Promise<KeptLog> {
    const log = new KeptLog(options)
    const { signal } = options
    const stop = () => log.#end.abort(signal?.reason)
    if (signal?.aborted) stop()
    signal?.addEventListener('abort', stop)
    try {
      log.#open = await log.#openWithRoom(isDiskFull)
    } finally {
      signal?.removeEventListener('abort', stop)
    }
    return log
  }

  /** Told before the log's first handle is closed, which has to be the last. */
  set users(users: LogUsers) {
    this.#users = users
  }

  /** Why it takes nothing for now, if so. */
  problem(): HostError | undefined {
    return this.#trouble ?? this.#noRoom
  }

  async describe(
    names: readonly string[],
    options?: DescribeOptions,
  ): Promise<ReadonlyMap<string, TopicInfo>> {
    return this.#log().describe(names, options)
  }

  async topicId(name: string): Promise<string | undefined> {
    return this.#log().topicId(name)
  }

  async endOfEpoch(
    partition: TopicPartition,
    leaderEpoch: number,
  ): Promise<{ leaderEpoch: number; end: number }> {
    return this.#log().endOfEpoch(partition, leaderEpoch)
  }

  async offsetAt(topic: string, time: number): Promise<readonly Position[]> {
    return this.#log().offsetAt(topic, time)
  }

  async ensure(specs: readonly TopicSpec[]): Promise<void> {
    return this.#log().ensure(specs)
  }

  async remove(names: readonly string[], options?: RemoveOptions): Promise<void> {
    return this.#log().remove(names, options)
  }

  async committed(group: string): Promise<readonly Position[]> {
    return this.#log().committed(group)
  }

  async append(
    records: readonly RecordToAppend[],
    options?: AppendOptions,
  ): Promise<readonly number[]> {
    return this.#log().append(records, options)
  }

  reader(options?: ReaderOptions): LogReader {
    return this.#log().reader(options)
  }

  async openWriter(group: string, partition: number, options?: WriterOptions): Promise<LogWriter> {
    return this.#log().openWriter(group, partition, options)
  }

  async join(options: JoinOptions): Promise<Membership> {
    return this.#log().join(options)
  }

  share(): SharedLog {
    return this.#log().share()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async #close(): Promise<void> {
    this.#end.abort(logClosed())
    await this.#reopening
    await this.#open?.[Symbol.asyncDispose]()
  }

  #log(): Log {
    if (this.#closing !== undefined) throw logClosed()
    if (this.#open !== undefined) return this.#open
    throw this.#trouble ?? logClosed()
  }

  #noticed(problem: HostError | undefined): void {
    const { logger } = this.#options
    this.#noRoom = problem
    if (problem === undefined) logger.info('the disk of the log has room again: it goes on')
    else logger.error(`the log takes nothing for now: ${problem.message}`)
  }

  #failed(error: HostError): void {
    const failed = this.#open
    if (failed === undefined || this.#closing !== undefined) return
    if (!isDiskTrouble(error)) {
      this.#options.onFailure(error)
      return
    }
    this.#open = undefined
    this.#noRoom = undefined
    this.#trouble = refusal(error)
    this.#reopening = this.#reopen(failed, error)
  }

  async #reopen(failed: Log, error: HostError): Promise<void> {
    const { logger, onFailure } = this.#options
    logger.error(
      `the disk has refused a write of the log (${error.message}): emits are refused, and functions wait, until the log is open anew`,
    )
    const began = performance.now()
    try {
      await this.#users?.releaseLog(this.#trouble ?? error)
      await failed[Symbol.asyncDispose]()
      await this.#rest()
      this.#open = await this.#openWithRoom(isDiskTrouble)
      this.#trouble = undefined
      logger.info('the log is open anew', { afterMs: Math.round(performance.now() - began) })
      this.#users?.reclaimLog()
    } catch (thrown) {
      if (this.#closing === undefined) onFailure(asHostError(thrown, 'LOG_FAILED'))
    }
  }

  /** A disk that lets it be opened, and then refuses to be written to, would have all threads started and ended without end. */
  async #rest(): Promise<void> {
    const isSound = performance.now() - this.#openedAt >= soundMs
    this.#restMs = isSound ? 0 : Math.min(Math.max(this.#restMs * 2, retryMinMs), retryMaxMs)
    await this.#pause(this.#restMs)
  }

  /** Throws the reason that the wait is to end for, not Node's own. */
  async #pause(ms: number): Promise<void> {
    const { signal } = this.#end
    await pause(ms, undefined, { signal }).catch(() => {})
    signal.throwIfAborted()
  }

  async #openWithRoom(mayPass: (error: unknown) => boolean): Promise<Log> {
    const { path, minFreeBytes = 0, logger, open } = this.#options
    const { signal } = this.#end
    let saidAt = Number.NEGATIVE_INFINITY
    const wait = async (why: HostError, waitMs: number): Promise<void> => {
      if (performance.now() - saidAt > sayAgainMs) {
        logger.warn(`the log waits to be opened: ${why.message}`)
        saidAt = performance.now()
      }
      await this.#pause(waitMs)
    }
    for (let waitMs = retryMinMs; ; waitMs = Math.min(waitMs * 2, retryMaxMs)) {
      signal.throwIfAborted()
      // Each try writes: it would only make it worse.
      const full = tooFull(path, minFreeBytes)
      if (full !== undefined) {
        this.#trouble = full
        await wait(full, waitMs)
        continue
      }
      try {
        const opened = await open({
          ...this.#options,
          onFailure: (error) => this.#failed(error),
          onDisk: (problem) => this.#noticed(problem),
        })
        this.#trouble = undefined
        this.#openedAt = performance.now()
        return opened
      } catch (thrown) {
        if (!mayPass(thrown)) throw thrown
        const error = asHostError(thrown, 'LOG_FAILED')
        this.#trouble = refusal(error)
        await wait(error, waitMs)
      }
    }
  }
}

/** What a caller is told who comes while it is closed. */
function refusal(cause: HostError): HostError {
  if (!isDiskFull(cause)) {
    return new HostError(
      'LOG_FAILED',
      `the disk refuses to write the log (${cause.message}): see to it, it goes on by itself`,
      { cause },
    )
  }
  return new HostError(
    'DISK_FULL',
    'the disk of the log is full: nothing was written; make room, and it goes on by itself',
    { cause },
  )
}
