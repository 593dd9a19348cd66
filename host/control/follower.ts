// Follows the control topic: first all that it holds, then what comes; anew from the beginning whenever it could not be read.
import { setTimeout as pause } from 'node:timers/promises'
import { asHostError, type HostError } from '../errors.js'
import type { Batch, Log, LogReader } from '../log/log.js'
import { unknownTopic } from '../log/problems.js'
import { type Word, wordOf } from './wish.js'

export interface FollowerOptions {
  readonly log: Log
  readonly topic: string
  /** Before it is tried again. */
  readonly retryMs: number
  /** All that there is, at the beginning and whenever it was begun with anew. Rejects: it is begun with again. */
  caughtUp(words: readonly Word[]): Promise<void>
  hear(word: Word): void
  /** It cannot be read for now. */
  failed(error: HostError): void
}

const readBytes = 64 * 1024

export class Follower implements AsyncDisposable {
  readonly #options: FollowerOptions
  readonly #end = new AbortController()
  #reader: LogReader | undefined

  constructor(options: FollowerOptions) {
    this.#options = options
    void this.#run()
  }

  /** What it waits for otherwise ends with the log. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort()
    await this.#close()
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { signal } = this.#end
    while (!signal.aborted) {
      try {
        await this.#follow()
      } catch (error) {
        if (!signal.aborted) this.#options.failed(asHostError(error, 'LOG_FAILED'))
      }
      await pause(this.#options.retryMs, undefined, { signal }).catch(() => {})
    }
  }

  /** Until it is to end. */
  async #follow(): Promise<void> {
    const { log, topic, caughtUp, hear } = this.#options
    await log.ensure([{ name: topic, kind: 'table', partitions: 1 }])
    const [at] = (await log.describe([topic])).get(topic)?.partitions ?? []
    if (at === undefined) throw unknownTopic(topic)
    if (this.#end.signal.aborted) return
    const reader = log.reader({ maxBytes: readBytes })
    this.#reader = reader
    try {
      reader.assign([{ topic, partition: at.partition, offset: at.oldest }])
      const words: Word[] = []
      for (let next = at.oldest; next < at.stableEnd; ) {
        const batches = await reader.next()
        if (this.#end.signal.aborted) return
        words.push(...wordsIn(batches))
        next = batches.at(-1)?.next ?? next
      }
      await caughtUp(words)
      while (!this.#end.signal.aborted) {
        for (const word of wordsIn(await reader.next())) hear(word)
      }
    } finally {
      await this.#close()
    }
  }

  async #close(): Promise<void> {
    const reader = this.#reader
    this.#reader = undefined
    await reader?.[Symbol.asyncDispose]()
  }
}

const wordsIn = (batches: readonly Batch[]): Word[] =>
  batches.flatMap(({ records }) => records).flatMap((record) => wordOf(record.valueText()) ?? [])
