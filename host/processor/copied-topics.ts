// The topics of the tables that are copied: waited for until they are there, looked at for all at once, and known by how many partitions they had.
import { asHostError, HostError } from '../errors.js'
import type { TopicInfo } from '../log/log.js'
import { backoffMs } from './clock.js'
import type { CopiedTable, CopiesOptions } from './copies.js'
import type { Copy } from './copy.js'

export type CopiedTopicsOptions = Pick<
  CopiesOptions,
  'log' | 'function' | 'partitions' | 'rest' | 'signal' | 'waiting' | 'warned'
>

export class CopiedTopics {
  readonly #options: CopiedTopicsOptions
  /** Partitions of tables, all of which are there. */
  readonly #counts = new Map<string, number>()
  /** What is waited for, in words. */
  readonly #waiting = new Map<string, string>()
  readonly #uncompacted = new Set<string>()
  /** Of each topic that is being looked at: for all that want to know. */
  readonly #describing = new Map<string, Promise<TopicInfo>>()

  constructor(options: CopiedTopicsOptions) {
    this.#options = options
  }

  /** Of a table that is looked up, or whose partitions were found to be those of the function. */
  count(topic: string): number | undefined {
    return this.#counts.get(topic)
  }

  counted(topic: string, count: number): void {
    this.#counts.set(topic, count)
  }

  /** Waits for a topic that nobody has made yet. */
  async described(one: CopiedTable): Promise<TopicInfo> {
    const { topic } = one
    const under = this.#describing.get(topic) ?? this.#describe(one)
    this.#describing.set(topic, under)
    return await under.finally(() => this.#describing.delete(topic))
  }

  async #describe(one: CopiedTable): Promise<TopicInfo> {
    const { log, rest, signal, warned } = this.#options
    const key = `${one.kind} ${one.topic}`
    const what = `the ${one.kind} ${one.table}: the topic ${one.topic} does not exist yet, whoever writes the table makes it`
    for (let attempt = 0; ; attempt += 1) {
      signal.throwIfAborted()
      try {
        const found = (await log.describe([one.topic])).get(one.topic)
        // One that is being made has none.
        if (found !== undefined && found.partitions.length > 0) {
          this.waited(key)
          this.#compacted(one, found)
          return found
        }
        this.waitsFor(key, what)
      } catch (thrown) {
        const error = asHostError(thrown, 'LOG_FAILED')
        if (signal.aborted || !error.retryable) throw error
        if (attempt === 0) warned(`${one.topic} cannot be looked at yet: ${error.message}`, {})
      }
      await rest(backoffMs(attempt, 50, 1_000))
    }
  }

  /** Throws TOPIC_MISMATCH. */
  copartitioned({ kind, table, topic }: CopiedTable, found: TopicInfo): void {
    const { partitions, function: name } = this.#options
    const count = found.partitions.length
    if (count === partitions) {
      this.#counts.set(topic, count)
      return
    }
    if (kind === 'view') {
      throw new HostError(
        'TOPIC_MISMATCH',
        `${topic} has ${count} partitions, and had ${partitions}`,
      )
    }
    throw new HostError(
      'TOPIC_MISMATCH',
      `${name}: its inputs have ${partitions} partitions, the joined table ${table} has ${count} (${topic}): a join needs the same number, so that a key is in the same partition of each; take the table as a lookup, which may have any number, or make one of the topics anew`,
      { function: name, stream: topic },
    )
  }

  /** It is another topic than what is stored of it, or has other partitions. */
  isAnother(copy: Copy, found: TopicInfo | undefined): boolean {
    const { topicId } = copy
    if (found === undefined || topicId === undefined) return false
    const count = this.#counts.get(copy.topic)
    return (
      found.id !== topicId ||
      // More partitions than are looked in.
      (count !== undefined && count !== found.partitions.length)
    )
  }

  waitsFor(key: string, what: string): void {
    if (this.#waiting.get(key) === what) return
    this.#waiting.set(key, what)
    this.#options.waiting([...this.#waiting.values()])
  }

  waited(key: string): void {
    if (this.#waiting.delete(key)) this.#options.waiting([...this.#waiting.values()])
  }

  #compacted({ table, topic }: CopiedTable, { kind }: TopicInfo): void {
    if (kind === 'table' || this.#uncompacted.has(topic)) return
    this.#uncompacted.add(topic)
    this.#options.warned(
      `${topic} is read as the table ${table}, and is not compacted: what expires there stays in copies that have it, and is missing in new ones; set its cleanup.policy to compact`,
      {},
    )
  }
}
