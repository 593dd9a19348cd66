// What the log thread knows of topics: numbers, ends, epochs. Read once at the start, then kept beside the database.
import { randomUUID } from 'node:crypto'
import { HostError } from '../../errors.js'
import type { TopicKind, TopicSpec } from '../log.js'
import { logDamaged, topicMismatch } from '../problems.js'
import { type Database, readRow, readRows } from './database.js'
import { readHead } from './entry.js'
import type { Operation } from './layout.js'
import * as layout from './layout.js'
import type { TopicRow } from './messages.js'
import type { SharedEnds } from './shared-ends.js'

export interface Partition {
  readonly topic: Topic
  readonly partition: number
  readonly slot: number
  oldest: number
  /** Behind what was given out; published once it is written. */
  end: number
  /** What was ever written to it, in bytes of entries. Falls to 0 when the log is opened with none of them left. */
  bytes: number
  /** Of a table: what compaction has done. */
  cleaned: layout.Cleaned
  /** Where each epoch that had found records began, oldest first. */
  readonly epochs: { readonly epoch: number; readonly start: number }[]
}

export interface Topic {
  readonly name: string
  readonly number: number
  readonly id: string
  readonly kind: TopicKind
  readonly retentionMs?: number
  readonly partitions: Partition[]
}

interface StoredTopic {
  readonly number: number
  readonly id: string
  readonly kind: TopicKind
  readonly partitions: number
  readonly retentionMs?: number
}

const notCleaned: layout.Cleaned = { end: 0, bytes: 0, behind: 0, tombstoneAt: 0 }

export class Topics {
  readonly #database: Database
  readonly #ends: SharedEnds
  readonly #byName = new Map<string, Topic>()
  readonly #byNumber = new Map<number, Topic>()
  readonly #freeSlots: number[]
  #nextNumber = 1
  leaderEpoch = 0

  private constructor(database: Database, ends: SharedEnds) {
    this.#database = database
    this.#ends = ends
    this.#freeSlots = Array.from({ length: ends.slots }, (_, i) => ends.slots - 1 - i)
  }

  /** Reads what is there, raises the leader epoch and stores where each partition ended before it. */
  static async load(database: Database, ends: SharedEnds, sync: boolean): Promise<Topics> {
    const topics = new Topics(database, ends)
    await topics.#load()
    await topics.#raiseEpoch(sync)
    return topics
  }

  /** Numbers rise: what is made from now on has this one or a higher one. */
  get horizon(): number {
    return this.#nextNumber
  }

  named(name: string): Topic | undefined {
    return this.#byName.get(name)
  }

  numbered(number: number): Topic | undefined {
    return this.#byNumber.get(number)
  }

  partitions(): Partition[] {
    return [...this.#byNumber.values()].flatMap(({ partitions }) => partitions)
  }

  specs(): TopicSpec[] {
    return [...this.#byName.values()].map(({ name, kind, retentionMs, partitions }) => ({
      name,
      kind,
      partitions: partitions.length,
      ...(retentionMs === undefined ? {} : { retentionMs }),
    }))
  }

  row({ name, number, id, kind, partitions }: Topic): TopicRow {
    return { name, number, id, kind, slots: partitions.map(({ slot }) => slot) }
  }

  /** The operations that make what is missing, and what to do when they are written. */
  ensure(specs: readonly TopicSpec[]): { operations: Operation[]; done: () => void } {
    const made = new Map<string, TopicSpec>()
    for (const spec of specs) {
      const topic = this.#byName.get(spec.name)
      const found = topic && { kind: topic.kind, partitions: topic.partitions.length }
      const existing = found ?? made.get(spec.name)
      if (existing === undefined) made.set(spec.name, spec)
      else if (existing.kind !== spec.kind || existing.partitions !== spec.partitions) {
        throw topicMismatch(spec, existing)
      }
    }
    if (made.size === 0) return { operations: [], done: () => {} }
    const wanted = [...made.values()].reduce((sum, spec) => sum + spec.partitions, 0)
    if (wanted > this.#freeSlots.length) {
      throw new HostError(
        'BAD_CONFIG',
        `the embedded log has room for ${this.#freeSlots.length} more partitions of ${this.#ends.slots}, not for ` +
          `${wanted}: remove topics, or use fewer partitions a topic`,
      )
    }
    let number = this.#nextNumber
    const stored = [...made.values()].map((spec): [string, StoredTopic] => [
      spec.name,
      {
        number: number++,
        id: randomUUID(),
        kind: spec.kind,
        partitions: spec.partitions,
        ...(spec.retentionMs === undefined ? {} : { retentionMs: spec.retentionMs }),
      },
    ])
    const operations = stored.map(([name, topic]) =>
      layout.put(layout.topicKey(name), Buffer.from(JSON.stringify(topic))),
    )
    operations.push(layout.put(layout.nextTopicKey, layout.u32(number)))
    return {
      operations,
      done: () => {
        this.#nextNumber = number
        for (const [name, topic] of stored) this.#publish(this.#add(name, topic))
      },
    }
  }

  /** The operations that make a topic unknown, and what to do when they are written. */
  remove(topic: Topic): { operations: Operation[]; done: () => void } {
    return {
      operations: [
        { type: 'del', key: layout.topicKey(topic.name) },
        ...topic.partitions.flatMap(({ partition }): Operation[] => [
          { type: 'del', key: layout.partitionKey(topic.number, partition) },
          { type: 'del', key: layout.cleanedKey(topic.number, partition) },
        ]),
        // Deleting the entries takes long; what a crash leaves is deleted at the next open.
        layout.put(layout.doomedKey(topic.number), Buffer.alloc(0)),
      ],
      done: () => {
        this.#byName.delete(topic.name)
        this.#byNumber.delete(topic.number)
        for (const { slot } of topic.partitions) {
          this.#ends.free(slot)
          this.#freeSlots.push(slot)
        }
      },
    }
  }

  async clear(number: number): Promise<void> {
    const gte = layout.entryKey(number, 0, 0)
    await this.#database.clear({ gte, lt: layout.behindTopic(number) })
    await this.#database.del(layout.doomedKey(number))
  }

  async doomed(): Promise<number[]> {
    const range = { gte: layout.firstOf('doomed'), lt: layout.behind('doomed') }
    return (await readRows(this.#database, range)).map(([key]) => layout.doomedOf(key))
  }

  endOfEpoch(partition: Partition, epoch: number): { leaderEpoch: number; end: number } {
    const later = partition.epochs.find((found) => found.epoch > epoch)
    const { end } = this.#ends.read(partition.slot, partition.topic.number) ?? partition
    return { leaderEpoch: Math.min(epoch, this.leaderEpoch), end: later?.start ?? end }
  }

  async #load(): Promise<void> {
    const next = await readRow(this.#database, layout.nextTopicKey)
    if (next !== undefined) this.#nextNumber = next.readUInt32BE(0)
    const range = { gte: layout.firstOf('topic'), lt: layout.behind('topic') }
    for (const [key, value] of await readRows(this.#database, range)) {
      const stored: StoredTopic = JSON.parse(value.toString())
      if (stored.partitions > this.#freeSlots.length) {
        throw new HostError(
          'BAD_CONFIG',
          `the log holds more partitions than the ${this.#ends.slots} it may have: raise that limit`,
        )
      }
      this.#add(layout.topicNameOf(key), stored)
    }
    const all = this.partitions()
    // In portions: a promise for each of thousands of partitions helps nobody.
    for (let at = 0; at < all.length; at += 64) {
      await Promise.all(all.slice(at, at + 64).map(async (partition) => this.#loadEnds(partition)))
    }
    for (const partition of all) {
      this.#ends.take(partition.slot, partition.topic.number, partition)
    }
  }

  async #loadEnds(partition: Partition): Promise<void> {
    const { number } = partition.topic
    const range = await readRow(this.#database, layout.partitionKey(number, partition.partition))
    const [last] = await this.#database
      .iterator({
        gte: layout.entryKey(number, partition.partition, 0),
        lt: layout.entryKey(number, partition.partition + 1, 0),
        reverse: true,
        limit: 1,
      })
      .all()
    const head = last && readHead(...last)
    // Without its span the next append would be written over it.
    if (last !== undefined && head === undefined) {
      const { name: topic } = partition.topic
      throw logDamaged({ topic, partition: partition.partition }, layout.baseOf(last[0]))
    }
    const oldest = range === undefined ? 0 : layout.readOffset(range, 0)
    const least = range === undefined ? 0 : layout.readOffset(range, 8)
    const behindLast = last && head ? layout.baseOf(last[0]) + head.span : 0
    partition.oldest = oldest
    partition.end = Math.max(least, behindLast)
    partition.bytes = head?.behind ?? 0
    const cleaned = await readRow(this.#database, layout.cleanedKey(number, partition.partition))
    if (cleaned !== undefined) partition.cleaned = layout.unpackCleaned(cleaned)
  }

  async #raiseEpoch(sync: boolean): Promise<void> {
    const range = { gte: layout.firstOf('epoch'), lt: layout.behind('epoch') }
    for (const [key, value] of await readRows(this.#database, range)) {
      for (const { topic, partition, offset } of layout.unpackStarts(value)) {
        this.#byNumber
          .get(topic)
          ?.partitions[partition]?.epochs.push({ epoch: layout.epochOf(key), start: offset })
      }
    }
    const current = await readRow(this.#database, layout.currentEpochKey)
    this.leaderEpoch = (current === undefined ? 0 : current.readUInt32BE(0)) + 1
    const starts: layout.Start[] = []
    for (const topic of this.#byNumber.values()) {
      for (const { partition, end, epochs } of topic.partitions) {
        // Only what has moved: a host that is started a thousand times leaves a thousand small records at most.
        if (end === (epochs.at(-1)?.start ?? 0)) continue
        starts.push({ topic: topic.number, partition, offset: end })
        epochs.push({ epoch: this.leaderEpoch, start: end })
      }
    }
    const operations = [layout.put(layout.currentEpochKey, layout.u32(this.leaderEpoch))]
    if (starts.length > 0) {
      operations.push(layout.put(layout.epochKey(this.leaderEpoch), layout.packStarts(starts)))
    }
    await this.#database.batch(operations, { sync })
  }

  #add(name: string, stored: StoredTopic): Topic {
    const { partitions: count, ...rest } = stored
    const topic: Topic = { name, ...rest, partitions: [] }
    for (let partition = 0; partition < count; partition++) {
      const slot = this.#freeSlots.pop() ?? 0
      topic.partitions.push({
        topic,
        partition,
        slot,
        oldest: 0,
        end: 0,
        bytes: 0,
        cleaned: notCleaned,
        epochs: [],
      })
    }
    this.#byName.set(name, topic)
    this.#byNumber.set(stored.number, topic)
    return topic
  }

  #publish(topic: Topic): void {
    for (const partition of topic.partitions) {
      this.#ends.take(partition.slot, topic.number, partition)
    }
  }
}
