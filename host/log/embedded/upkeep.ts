// What the maintenance of one partition may use: the database to read beside the writes, and turns between them to write.
import type { Database } from './database.js'
import type { Operation } from './layout.js'
import type { Sequencer } from './sequencer.js'
import type { SharedEnds } from './shared-ends.js'
import type { Partition, Topics } from './topics.js'

export interface UpkeepParts {
  readonly database: Database
  readonly topics: Topics
  readonly ends: SharedEnds
  readonly sequencer: Sequencer
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** The disk has no room for more than what deletes. */
  readonly isFull: () => boolean
}

export class Upkeep {
  readonly database: Database
  readonly ends: SharedEnds
  readonly now: () => number
  readonly isFull: () => boolean
  readonly #topics: Topics
  readonly #sequencer: Sequencer
  #stopping = false

  constructor({ database, topics, ends, sequencer, now, isFull }: UpkeepParts) {
    this.database = database
    this.ends = ends
    this.now = now
    this.isFull = isFull
    this.#topics = topics
    this.#sequencer = sequencer
  }

  /** What was begun ends at its next pause. */
  stop(): void {
    this.#stopping = true
  }

  isStopping(): boolean {
    return this.#stopping
  }

  isThere({ topic }: Partition): boolean {
    return this.#topics.numbered(topic.number) === topic
  }

  /** Runs between two writes. False, and it did not run: the topic has gone meanwhile, and its entries must not come back. */
  async turn(partition: Partition, run: () => Promise<void>): Promise<boolean> {
    let isThere = false
    await this.#sequencer.turn(async () => {
      isThere = this.isThere(partition)
      if (isThere) await run()
    })
    return isThere
  }

  /** Within a turn. */
  async write(operations: readonly Operation[]): Promise<void> {
    await this.#sequencer.write(operations)
  }

  /** Lets everything go on that waits. */
  async pause(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
  }
}
