// What one thread knows of the topics: their numbers and slots, asked for once and dropped when a topic goes.
import { unknownTopic } from '../problems.js'
import type { Connection } from './connection.js'
import type { TopicRow } from './messages.js'
import type { SharedEnds } from './shared-ends.js'

/** Where a partition's ends are. */
export interface Place {
  readonly number: number
  readonly slot: number
}

export class Directory {
  readonly #connection: Connection
  readonly #ends: SharedEnds
  readonly #rows = new Map<string, TopicRow>()

  constructor(connection: Connection, ends: SharedEnds) {
    this.#connection = connection
    this.#ends = ends
  }

  /** Asks for all of them anew. */
  async fetch(names: readonly string[]): Promise<readonly TopicRow[]> {
    const answer = await this.#connection.ask({ kind: 'topics', names: [...new Set(names)] })
    if (answer.kind !== 'topics') throw new Error(`the log thread answered '${answer.kind}'`)
    for (const name of names) this.#rows.delete(name)
    for (const row of answer.topics) this.#rows.set(row.name, row)
    return answer.topics
  }

  /** Undefined when all are known: what follows can stay in one step. */
  learn(topics: Iterable<{ readonly topic: string }>): Promise<unknown> | undefined {
    const missing = new Set<string>()
    let last: string | undefined
    for (const { topic } of topics) {
      // Records of one topic mostly follow each other.
      if (topic !== last && !this.#isKnown(topic)) missing.add(topic)
      last = topic
    }
    return missing.size === 0 ? undefined : this.fetch([...missing])
  }

  /** Of a topic that was learnt; throws UNKNOWN_TOPIC. */
  place(topic: string, partition: number): Place {
    const row = this.#rows.get(topic)
    if (row === undefined) throw unknownTopic(topic)
    const slot = row.slots[partition]
    if (slot === undefined) throw unknownTopic(topic, partition)
    return { number: row.number, slot }
  }

  /** Of a topic that was learnt; undefined: there is none. */
  id(topic: string): string | undefined {
    return this.#rows.get(topic)?.id
  }

  #isKnown(topic: string): boolean {
    const row = this.#rows.get(topic)
    const [slot] = row?.slots ?? []
    if (row === undefined || slot === undefined) return false
    // Another thread may have removed it.
    return this.#ends.read(slot, row.number) !== undefined
  }
}
