// What every reader does alike: assignment, pausing, waiting, waking, and a fair share for each partition.
import { type Batch, keyOf, type LogReader, type Position, type TopicPartition } from './log.js'
import { outOfRange } from './problems.js'

export interface Ends {
  readonly oldest: number
  /** Behind the last record that is decided. */
  readonly stableEnd: number
  /** Behind the last record, decided or not. */
  readonly end: number
}

/** A partition as it is assigned; `place` is what the adapter finds it by. */
export interface Assigned<P> extends TopicPartition {
  position: number
  /** As in `Position`. */
  leaderEpoch: number | undefined
  readonly place: P
}

/** An adapter's side of a reader. */
export interface Source<P> {
  /** Throws when the log is closed or has failed. */
  check(): void
  /** Throws UNKNOWN_TOPIC. */
  find(positions: readonly Position[]): Promise<P[]>
  /** Throws UNKNOWN_TOPIC. */
  ends(one: Assigned<P>): Ends
  /** From the position on, which it leaves where it is. */
  read(one: Assigned<P>, maxBytes: number): Promise<Batch>
  /** Calls `wake` once when `hasNews` may have become true, and at once when it is; returns how to take it back. */
  onNews(hasNews: () => boolean, wake: () => void): () => void
  /** Whether there is anything to say of the partition: also that it has gone. */
  hasMoved(one: Assigned<P>): boolean
  /** Called once, when its reader is disposed of: what it waits for ends at once. */
  close?(): Promise<void>
}

/** Partitions read side by side; more only makes each one's share small. */
const WIDTH = 16
const LEAST_SHARE = 16 * 1024

interface Assignment<P> {
  readonly positions: readonly Position[]
  found?: readonly Assigned<P>[]
  /** Why a partition could not be read while others could. */
  failure?: { readonly reason: unknown } | undefined
}

export class AssignedReader<P> implements LogReader {
  readonly #source: Source<P>
  readonly #maxBytes: number
  readonly #disposed: () => void
  readonly #paused = new Set<string>()
  #assignment: Assignment<P> = { positions: [] }
  #turn = 0
  #isClosed = false
  #isInterrupted = false
  #wakeUp = (): void => {}
  #reading: Promise<unknown> = Promise.resolve()

  constructor(source: Source<P>, maxBytes: number, disposed: (reader: AssignedReader<P>) => void) {
    this.#source = source
    this.#maxBytes = maxBytes
    this.#disposed = () => disposed(this)
  }

  assign(positions: readonly Position[]): void {
    this.#assignment = { positions }
    this.#paused.clear()
    this.wake()
  }

  pause(partition: TopicPartition): void {
    this.#paused.add(keyOf(partition))
  }

  resume(partition: TopicPartition): void {
    if (this.#paused.delete(keyOf(partition))) this.#wakeUp()
  }

  wake(): void {
    this.#isInterrupted = true
    this.#wakeUp()
  }

  async next(): Promise<readonly Batch[]> {
    this.#source.check()
    this.#isInterrupted = false
    const reading = this.#next(this.#assignment)
    this.#reading = reading.catch(() => {})
    return reading
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    this.wake()
    const closing = this.#source.close?.()
    // What is under way uses what the log closes next.
    await this.#reading
    await closing
    this.#disposed()
  }

  async #next(assignment: Assignment<P>): Promise<readonly Batch[]> {
    if (this.#isClosed) return []
    try {
      assignment.found ??= await this.#find(assignment.positions)
    } catch (thrown) {
      if (this.#isClosed) return []
      throw thrown
    }
    const { found, failure } = assignment
    if (failure !== undefined) {
      assignment.failure = undefined
      throw failure.reason
    }
    while (!this.#isClosed && !this.#isInterrupted) {
      this.#source.check()
      const ready = found.filter((one) => this.#isReady(one))
      if (ready.length > 0) return this.#read(ready, assignment)
      await this.#news(found)
    }
    return []
  }

  async #find(positions: readonly Position[]): Promise<readonly Assigned<P>[]> {
    const places = await this.#source.find(positions)
    return places.flatMap((place, i) => {
      const at = positions[i]
      if (at === undefined) return []
      const { topic, partition, offset: position, leaderEpoch } = at
      return [{ topic, partition, position, leaderEpoch, place }]
    })
  }

  #isReady(one: Assigned<P>): boolean {
    if (this.#isPaused(one)) return false
    const { oldest, stableEnd, end } = this.#source.ends(one)
    if (one.position < oldest || one.position > end) {
      throw outOfRange(one, one.position, oldest, end)
    }
    return one.position < stableEnd
  }

  async #news(found: readonly Assigned<P>[]): Promise<void> {
    const hasNews = (): boolean =>
      found.some((one) => !this.#isPaused(one) && this.#source.hasMoved(one))
    await new Promise<void>((resolve) => {
      const takeBack = this.#source.onNews(hasNews, resolve)
      this.#wakeUp = () => {
        takeBack()
        resolve()
      }
    })
    this.#wakeUp = () => {}
  }

  async #read(ready: readonly Assigned<P>[], assignment: Assignment<P>): Promise<readonly Batch[]> {
    const width = Math.min(WIDTH, ready.length)
    const first = this.#turn % ready.length
    this.#turn = first + width
    const share = Math.max(LEAST_SHARE, Math.floor(this.#maxBytes / width))
    const chosen = [...ready.slice(first), ...ready.slice(0, first)].slice(0, width)
    const reads = chosen.map(async (one) => this.#source.read(one, share))
    const batches: Batch[] = []
    for (const [i, read] of (await Promise.allSettled(reads)).entries()) {
      const one = chosen[i]
      if (read.status === 'rejected') {
        assignment.failure ??= { reason: read.reason }
      } else if (one !== undefined) {
        // Only here, where nothing can fail any more: what is not handed out is read again.
        one.position = read.value.next
        one.leaderEpoch = read.value.leaderEpoch ?? one.leaderEpoch
        batches.push(read.value)
      }
    }
    if (batches.length > 0 || assignment.failure === undefined) return batches
    const { reason } = assignment.failure
    assignment.failure = undefined
    throw reason
  }

  #isPaused(one: TopicPartition): boolean {
    return this.#paused.size > 0 && this.#paused.has(keyOf(one))
  }
}
