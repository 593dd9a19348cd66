// Warm copies of the function's own table: partitions that others write, brought up and followed in the place where a task would have them.
import { asHostError, HostError } from '../errors.js'
import { backoffMs } from './clock.js'
import { type CopiedTable, Copies, type CopiesOptions } from './copies.js'

/** Of a partition that is followed: it is brought up, or has reached the end that its changelog had. */
export type StandbyState = 'recovering' | 'following'

export interface FollowingOptions
  extends Pick<
    CopiesOptions,
    | 'log'
    | 'store'
    | 'function'
    | 'partitions'
    | 'tombstoneRetentionMs'
    | 'isRefreshed'
    | 'clock'
    | 'rest'
    | 'signal'
    | 'progressed'
    | 'wiping'
    | 'warned'
  > {
  readonly table: Omit<CopiedTable, 'kind'>
  /** Resolves when nobody else writes where the copy is to be. */
  free(partition: number): Promise<void>
  /** Resolves when all else that a task of the partition reads is here. */
  others(partition: number, signal: AbortSignal): Promise<void>
  told(partition: number, state: StandbyState): void
  /** So much of its changelog is stored. */
  stored(partition: number, next: number): void
  /** As in `CopiesOptions`. */
  cutOff(error: HostError | undefined): void
  /** The store takes nothing any more, or what it has is damaged. */
  detached(partition: number, cause: unknown): void
}

interface Followed {
  readonly abort: AbortController
  /** Undefined: nobody is at bringing it up. Settles when it has reached its end, or nobody is any more. */
  bringingUp: Promise<void> | undefined
}

const [shortestPauseMs, longestPauseMs] = [100, 30_000]
/** Before what does not pass by itself is tried again: somebody may have mended it. */
const failedPauseMs = 5_000

export class Following implements AsyncDisposable {
  readonly #options: FollowingOptions
  readonly #copies: Copies
  readonly #followed = new Map<number, Followed>()

  constructor(options: FollowingOptions) {
    this.#options = options
    const { table, stored, detached } = options
    this.#copies = new Copies({
      ...options,
      tables: [{ ...table, kind: 'standby' }],
      stored: (partition, next) => {
        if (this.#followed.has(partition)) stored(partition, next)
      },
      waiting: () => {},
      interrupted: (partitions) => this.#again(partitions, 0),
      detached: (cause) => detached(this.partitions[0] ?? 0, cause),
      failed: (error) => {
        options.warned(notFollowed(error), { code: error.code })
        this.#again(this.#copies.lost, failedPauseMs)
      },
    })
    this.#copies.start()
  }

  get partitions(): readonly number[] {
    return [...this.#followed.keys()]
  }

  /** All that is known to be in the changelog is stored. */
  get isIdle(): boolean {
    return !this.#isBringingUp && this.#copies.isIdle
  }

  positions(): ReturnType<Copies['positions']> {
    return this.#copies.positions()
  }

  /** From where its store is, until it is left. No task may have it, or be opening it. */
  follow(partition: number): void {
    if (this.#followed.has(partition)) return
    const followed: Followed = { abort: new AbortController(), bringingUp: undefined }
    this.#followed.set(partition, followed)
    followed.bringingUp = this.#bringUp(partition, followed, 0)
  }

  /** Resolves when nothing is written there any more. What is stored stays: whoever opens the partition goes on from there. */
  async leave(partition: number): Promise<void> {
    const stopping = new HostError('STOPPING', `partition ${partition} is followed no more`)
    this.#followed.get(partition)?.abort.abort(stopping)
    this.#followed.delete(partition)
    await this.#copies.leave(partition)
  }

  /** Resolves when each has reached the end that it had, or is not followed any more. */
  async caughtUp(): Promise<void> {
    while (this.#isBringingUp) {
      await Promise.race([...this.#followed.values()].flatMap(({ bringingUp }) => bringingUp ?? []))
    }
  }

  /** Notes in the store which are at their end, should that have been noted longer ago. */
  async refresh(olderThanMs: number): Promise<void> {
    await this.#copies.refresh(olderThanMs)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.partitions.map((partition) => this.leave(partition)))
    await this.#copies[Symbol.asyncDispose]()
  }

  get #isBringingUp(): boolean {
    return [...this.#followed.values()].some(({ bringingUp }) => bringingUp !== undefined)
  }

  /** What was lost. Who is at bringing it up notices by itself. */
  #again(partitions: readonly number[], pauseMs: number): void {
    for (const partition of partitions) {
      const followed = this.#followed.get(partition)
      if (followed === undefined) continue
      followed.bringingUp ??= this.#bringUp(partition, followed, pauseMs)
    }
  }

  /** Never rejects: what keeps it from it is told, and tried again. */
  async #bringUp(partition: number, followed: Followed, pauseMs: number): Promise<void> {
    const { told, rest } = this.#options
    const { signal } = followed.abort
    told(partition, 'recovering')
    await this.#options.free(partition)
    if (pauseMs > 0) await rest(pauseMs)
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      if (await this.#isBroughtUp(partition, followed, attempt === 0)) return
      await rest(backoffMs(attempt, shortestPauseMs, longestPauseMs))
    }
  }

  /** False: it has failed, and may be tried again. */
  async #isBroughtUp(partition: number, followed: Followed, isFirst: boolean): Promise<boolean> {
    const { told, others, warned, detached } = this.#options
    const { signal } = followed.abort
    try {
      // It may be lost again before anybody knows that it was there.
      do {
        await this.#copies.ready(partition, signal)
        await others(partition, signal)
      } while (this.#copies.lost.includes(partition) && !signal.aborted)
      // With the look at what is lost: what is from now on has to be brought up anew.
      followed.bringingUp = undefined
      if (!signal.aborted) told(partition, 'following')
      return true
    } catch (thrown) {
      const error = asHostError(thrown, 'LOG_FAILED')
      if (signal.aborted) return true
      if (error.code === 'STORE_FAILED' || error.code === 'STORE_DAMAGED') {
        followed.bringingUp = undefined
        detached(partition, error)
        return true
      }
      if (isFirst) warned(notFollowed(error), { partition, code: error.code })
      return false
    }
  }
}

const notFollowed = ({ message }: HostError): string =>
  `the table cannot be copied here yet, trying again: ${message}`
