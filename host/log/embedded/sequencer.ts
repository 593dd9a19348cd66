// The one writer of the log: gives offsets by arrival, groups what waits into one write, publishes, then answers.
import type { Database } from './database.js'
import { countOf, ENTRY_BYTES, mergeEntries, sealEntry } from './entry.js'
import { entryKey, type Operation } from './layout.js'
import type { Answer, NumberedPosition } from './messages.js'
import type { Section } from './packing.js'
import type { Positions } from './positions.js'
import type { SharedEnds } from './shared-ends.js'
import type { Partition, Topics } from './topics.js'

/** A larger group would make the others wait for it. */
const GROUP_BYTES = 8 * 1024 * 1024

export interface Write {
  readonly kind: 'write'
  readonly bytes: number
  readonly sections: readonly Section[]
  readonly moved?: { readonly group: string; readonly positions: readonly NumberedPosition[] }
  readonly answer: (answer: Answer) => void
  /** Asked for before its place in the order is given to it: a reason why it cannot be written. */
  readonly refuse: () => Answer | undefined
}

/** Runs alone, between two writes. */
export interface Turn {
  readonly kind: 'turn'
  readonly run: () => Promise<void>
}

interface Run {
  readonly partition: Partition
  readonly base: number
  readonly entries: Buffer[]
  bytes: number
}

export class Sequencer {
  readonly #database: Database
  readonly #topics: Topics
  readonly #positions: Positions
  readonly #ends: SharedEnds
  readonly #sync: boolean
  #queue: (Write | Turn)[] = []
  #isRunning = false
  readonly #failed: (cause: unknown) => void
  readonly #written: (partition: Partition) => void
  readonly #now: () => number

  constructor(
    database: Database,
    topics: Topics,
    positions: Positions,
    ends: SharedEnds,
    sync: boolean,
    /** A write has failed: nothing can be trusted in that handle any more. */
    failed: (cause: unknown) => void,
    /** Called for each partition that a write has made longer. */
    written: (partition: Partition) => void,
    now: () => number,
  ) {
    this.#database = database
    this.#topics = topics
    this.#positions = positions
    this.#ends = ends
    this.#sync = sync
    this.#failed = failed
    this.#written = written
    this.#now = now
  }

  enqueue(item: Write | Turn): void {
    this.#queue.push(item)
    if (!this.#isRunning) this.#run().catch(this.#failed)
  }

  async write(operations: readonly Operation[]): Promise<void> {
    await this.#database.batch([...operations], { sync: this.#sync })
  }

  /** Resolves when it has run, in its turn. */
  async turn(run: () => Promise<void>): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const settled = async (): Promise<void> => {
        await run().catch((thrown: unknown) => {
          reject(thrown)
          throw thrown
        })
        resolve()
      }
      this.enqueue({ kind: 'turn', run: settled })
    })
  }

  /** Resolves when all that was queued before is written. */
  async idle(): Promise<void> {
    await this.turn(async () => {})
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    while (this.#queue.length > 0) {
      const items = this.#queue
      this.#queue = []
      let group: Write[] = []
      let bytes = 0
      for (const item of items) {
        if (item.kind === 'write') {
          group.push(item)
          bytes += item.bytes
          if (bytes < GROUP_BYTES) continue
        }
        await this.#writeGroup(group)
        group = []
        bytes = 0
        if (item.kind === 'turn') await item.run()
      }
      await this.#writeGroup(group)
    }
    this.#isRunning = false
  }

  async #writeGroup(group: readonly Write[]): Promise<void> {
    if (group.length === 0) return
    const runs = new Map<Partition, Run>()
    const operations: Operation[] = []
    const answers: (() => void)[] = []
    for (const item of group) {
      const refused = item.refuse()
      if (refused === undefined) {
        const bases = item.sections.map((section) => this.#place(section, runs, operations))
        if (item.moved !== undefined) {
          operations.push(...this.#positions.writes(item.moved.group, item.moved.positions))
        }
        answers.push(() => {
          if (item.moved !== undefined) this.#positions.set(item.moved.group, item.moved.positions)
          item.answer({ kind: 'bases', bases })
        })
      } else {
        answers.push(() => item.answer(refused))
      }
    }
    for (const run of runs.values()) operations.push(entryOf(run, this.#now()))
    if (operations.length > 0) await this.write(operations)
    for (const { partition } of runs.values()) this.#ends.publish(partition.slot, partition.end)
    if (runs.size > 0) this.#ends.ring()
    for (const { bytes } of group) this.#ends.queue(-bytes)
    for (const answer of answers) answer()
    for (const partition of runs.keys()) this.#written(partition)
  }

  /** Small appends that meet in one write become one entry: a tenth of the cost, to write and to read. */
  #place(section: Section, runs: Map<Partition, Run>, operations: Operation[]): number {
    const partition = this.#topics.numbered(section.topic)?.partitions[section.partition]
    // `refuse` has looked before: this is for the compiler.
    if (partition === undefined)
      throw new Error(`topic ${section.topic} has gone between two steps`)
    const base = partition.end
    partition.end += countOf(section.entry)
    const run = runs.get(partition)
    if (run !== undefined && run.bytes + section.entry.length <= ENTRY_BYTES) {
      run.entries.push(section.entry)
      run.bytes += section.entry.length
      return base
    }
    if (run !== undefined) operations.push(entryOf(run, this.#now()))
    runs.set(partition, { partition, base, entries: [section.entry], bytes: section.entry.length })
    return base
  }
}

function entryOf({ partition, base, entries }: Run, time: number): Operation {
  const [only] = entries
  const key = entryKey(partition.topic.number, partition.partition, base)
  const value = entries.length === 1 && only !== undefined ? only : mergeEntries(entries)
  partition.bytes += value.length
  sealEntry(key, value, time, partition.bytes)
  return { type: 'put', key, value }
}
