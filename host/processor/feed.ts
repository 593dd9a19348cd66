// Reads a function's inputs and hands them to its tasks, each record once from where the task asked for it.
import { asHostError, type HostError } from '../errors.js'
import type { Batch, LogReader, Position, TopicPartition } from '../log/log.js'
import { partitionKey } from '../log/log.js'

export interface FeedOptions {
  /** Disposed of with the feed. */
  readonly reader: LogReader
  /** False: the task has enough of this partition, until `resume`. */
  deliver(batch: Batch): boolean
  /** Reading goes on when it resolves. */
  failed(error: HostError, failures: number): Promise<void>
}

export class Feed implements AsyncDisposable {
  readonly #options: FeedOptions
  readonly #reader: LogReader
  /** Where to read each partition next: behind what was handed over. */
  readonly #next = new Map<string, Position>()
  /** Moved while a read was under way: what that read brings of them is dropped. */
  readonly #moved = new Set<string>()
  #mustAssign = false
  #isStopped = false
  #reading: Promise<void> | undefined

  constructor(options: FeedOptions) {
    this.#options = options
    this.#reader = options.reader
  }

  start(): void {
    this.#reading = this.#read()
  }

  seek(position: Position): void {
    const key = keyOf(position)
    this.#next.set(key, position)
    this.#moved.add(key)
    this.#reader.resume(position)
    this.#reader.wake()
  }

  forget(partition: TopicPartition): void {
    const key = keyOf(partition)
    this.#next.delete(key)
    this.#moved.add(key)
    this.#reader.wake()
  }

  resume(partition: TopicPartition): void {
    this.#reader.resume(partition)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true
    await this.#reader[Symbol.asyncDispose]()
    await this.#reading
  }

  async #read(): Promise<void> {
    for (let failures = 0; !this.#isStopped; ) {
      if (this.#moved.size > 0 || this.#mustAssign) {
        this.#moved.clear()
        this.#mustAssign = false
        this.#reader.assign([...this.#next.values()])
      }
      try {
        for (const batch of await this.#reader.next()) this.#hand(batch)
        failures = 0
      } catch (error) {
        if (this.#isStopped) return
        failures += 1
        // What was read beside the partition that failed may be lost: everything is read from where it was handed over.
        this.#mustAssign = true
        await this.#options.failed(asHostError(error, 'LOG_FAILED'), failures)
      }
    }
  }

  #hand(batch: Batch): void {
    const key = keyOf(batch)
    const expected = this.#next.get(key)
    if (this.#moved.has(key) || expected === undefined) return
    if (batch.from !== expected.offset) {
      // Never to be seen; but a jump would lose what lies between without a trace.
      this.#mustAssign = true
      return
    }
    const { topic, partition, next: offset, leaderEpoch = expected.leaderEpoch } = batch
    const next = { topic, partition, offset }
    this.#next.set(key, leaderEpoch === undefined ? next : { ...next, leaderEpoch })
    if (!this.#options.deliver(batch)) this.#reader.pause(batch)
  }
}

const keyOf = ({ topic, partition }: TopicPartition): string => partitionKey(topic, partition)
