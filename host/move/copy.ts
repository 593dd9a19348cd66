// Copies records, partition by partition: each commit has records of a partition and, as positions, how far its topics are copied.
import type { Batch, Log, Position, RecordToAppend, TopicKind } from '../log/log.js'
import type { SourceTopic } from './inventory.js'
import { moveGroup, otherMove } from './journal.js'
import { inParallel } from './parallel.js'
import { Patience, type PatienceOptions } from './patience.js'
import { movedHeaders } from './record-digest.js'
import { readStretches, type Stretch } from './stretches.js'

export interface CopyOptions extends PatienceOptions {
  readonly source: Log
  readonly target: Log
  readonly namespace: string
  /** Partitions that are copied at once. */
  readonly lanes: number
  /** Of the source, read at a time for each lane; a commit has as much. */
  readonly readBytes: number
  /** Offsets of the source that were passed, and records that were written. */
  moved(offsets: number, records: number): void
}

/** Resolves when all is there that the source has. Rejects with FENCED. */
export async function copyTopics(
  topics: readonly SourceTopic[],
  options: CopyOptions,
): Promise<void> {
  // One writer for a partition of all topics: it moves positions of its own partition only.
  const most = topics.reduce((most, { partitions }) => Math.max(most, partitions), 0)
  const partitions = Array.from({ length: most }, (_, partition) => partition)
  await inParallel(partitions, options.lanes, options.signal, async (partition, signal) => {
    const lane = new Lane(topics, partition, { ...options, signal })
    await lane.run()
  })
}

class Lane {
  readonly #topics: readonly SourceTopic[]
  readonly #partition: number
  readonly #options: CopyOptions
  readonly #patience: Patience
  readonly #kinds: ReadonlyMap<string, TopicKind>
  /** Told of as passed. */
  readonly #passed = new Map<string, number>()

  constructor(topics: readonly SourceTopic[], partition: number, options: CopyOptions) {
    this.#topics = topics.filter(({ partitions }) => partition < partitions)
    this.#partition = partition
    this.#options = options
    this.#patience = new Patience(options)
    this.#kinds = new Map(topics.map(({ name, kind }) => [name, kind]))
  }

  async run(): Promise<void> {
    const { source, target, namespace, readBytes, signal } = this.#options
    // Until a writer that is opened anew finds nothing left: then all that was written before is decided, and can be read.
    for (;;) {
      await using writer = await this.#patience.ask(() =>
        target.openWriter(moveGroup(namespace), this.#partition),
      )
      const stretches = this.#stretches(writer.positions)
      if (stretches.length === 0) return
      const reading = { log: source, readBytes, patience: new Patience(this.#options), signal }
      await readStretches(reading, stretches, async (batches) => {
        const commit = {
          records: batches.flatMap((batch) => this.#records(batch)),
          positions: batches.map(({ topic, partition, next }) => ({
            topic,
            partition,
            offset: next,
          })),
        }
        if ((await this.#patience.commit(writer, commit, otherMove)) === 'unknown') return false
        for (const { topic, next } of batches) this.#pass(topic, next)
        this.#options.moved(0, commit.records.length)
        return true
      })
    }
  }

  #stretches(marks: readonly Position[]): Stretch[] {
    const copied = new Map(marks.map(({ topic, offset }) => [topic, offset]))
    return this.#topics.flatMap(({ name, info }) => {
      const at = info.partitions[this.#partition]
      if (at === undefined) return []
      // What has expired since it was begun with cannot be copied any more.
      const from = Math.max(copied.get(name) ?? at.oldest, at.oldest)
      if (!this.#passed.has(name)) this.#passed.set(name, at.oldest)
      this.#pass(name, from)
      const to = at.stableEnd
      return from < to ? [{ topic: name, partition: this.#partition, from, to }] : []
    })
  }

  #records({ topic, partition, records }: Batch): RecordToAppend[] {
    const kind = this.#kinds.get(topic) ?? 'stream'
    return records.map((record) => {
      const headers = movedHeaders(record, kind)
      return {
        topic,
        partition,
        key: record.key,
        value: record.value,
        timestamp: record.timestamp,
        ...(headers.length === 0 ? {} : { headers }),
      }
    })
  }

  #pass(topic: string, next: number): void {
    this.#options.moved(next - (this.#passed.get(topic) ?? next), 0)
    this.#passed.set(topic, next)
  }
}
