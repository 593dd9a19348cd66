// Whether what is stored may be old: it is so once the log could not be read, until all is stored that the log had when it answered again.
import type { HostError } from '../errors.js'
import type { Log, TopicInfo } from '../log/log.js'
import { backoffMs } from './clock.js'

export interface CatchingUpOptions {
  readonly log: Pick<Log, 'describe'>
  topics(): readonly string[]
  /** What is stored is of this very topic, and not of one that had its name. */
  isOf(topic: TopicInfo): boolean
  /** Everything below `end` is stored. */
  has(topic: string, partition: number, end: number): boolean
  rest(ms: number): Promise<void>
  readonly signal: AbortSignal
  /** Undefined: it has caught up. */
  changed(cutOff: HostError | undefined): void
}

export class CatchingUp {
  readonly #options: CatchingUpOptions
  #isBehind = false
  /** What has to be stored; undefined: not known yet, or nothing. */
  #goals: ReadonlyMap<string, TopicInfo> | undefined
  /** Raised by each failure: goals that were asked for before it are not enough. */
  #cuts = 0
  #isAsking = false

  constructor(options: CatchingUpOptions) {
    this.#options = options
  }

  /** A read has failed. */
  cutOff(error: HostError): void {
    this.#cuts += 1
    this.#goals = undefined
    if (!this.#isBehind) this.#options.changed(error)
    this.#isBehind = true
    void this.#ask()
  }

  /** More is stored. */
  check(): void {
    const goals = this.#goals
    if (goals === undefined) return
    const { has } = this.#options
    if (this.#isOfAnother(goals)) {
      this.#goals = undefined
      void this.#ask()
      return
    }
    for (const [topic, { partitions }] of goals) {
      for (const { partition, stableEnd } of partitions) {
        if (!has(topic, partition, stableEnd)) return
      }
    }
    this.#goals = undefined
    this.#isBehind = false
    this.#options.changed(undefined)
  }

  /** Where that ends tells nothing. */
  #isOfAnother(topics: ReadonlyMap<string, TopicInfo>): boolean {
    return [...topics.values()].some((topic) => !this.#options.isOf(topic))
  }

  /** Never rejects. */
  async #ask(): Promise<void> {
    if (this.#isAsking) return
    this.#isAsking = true
    const { log, topics, rest, signal } = this.#options
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      const cuts = this.#cuts
      const found = await log.describe(topics()).catch(() => undefined)
      if (found !== undefined && cuts === this.#cuts && !this.#isOfAnother(found)) {
        this.#goals = found
        break
      }
      await rest(backoffMs(attempt, 50, 1_000))
    }
    this.#isAsking = false
    this.check()
  }
}
