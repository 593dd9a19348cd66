// The log port in the caller's thread and memory: for tests, with faults by seed, and nothing that depends on a clock.
import { HostError } from '../../errors.js'
import { AssignedReader } from '../assigned-reader.js'
import type {
  AppendOptions,
  JoinOptions,
  Log,
  LogReader,
  LogRecord,
  LogWriter,
  Membership,
  Position,
  ReaderOptions,
  RecordToAppend,
  RemoveOptions,
  SharedLog,
  TopicInfo,
  TopicPartition,
  TopicSpec,
} from '../log.js'
import { checkRecord, checkSpec, logClosed, topicMismatch, unknownTopic } from '../problems.js'
import { joinAlone } from '../sole-member.js'
import type { MemoryFaults, Outcome } from './faults.js'
import { MemoryPartition } from './partition.js'
import { Random } from './random.js'
import { MemorySource } from './source.js'
import { Turns } from './turns.js'
import { MemoryWriter } from './writer.js'

export type { MemoryFaults } from './faults.js'

export interface MemoryLogOptions {
  /** The same seed and the same calls give the same log. Default 1. */
  readonly seed?: number
  readonly faults?: MemoryFaults
  /** For `retentionMs`; absent: nothing expires. */
  readonly clock?: () => number
}

export interface MemoryLog extends Log {
  /** All records of a partition, decided or not. */
  records(topic: string, partition: number): readonly LogRecord[]
  /** All records of a topic that readers may see, in the order in which they were written. */
  arrivals(topic: string): readonly Arrival[]
  /** As `describe` gives them, at once. */
  end(topic: string, partition: number): number
  stableEnd(topic: string, partition: number): number
  /** How the next commit of any writer ends; several calls make a queue. `written` is for `unknown`, default false. */
  failNext(kind: 'failed' | 'unknown', options?: { readonly written?: boolean }): void
  /** The next read of the partition, by any reader, fails. */
  failRead(topic: string, partition: number): void
  /** Records before the offset expire. */
  trim(topic: string, partition: number, before: number): void
  /** The leader epoch of the partition rises, and nothing is lost. */
  elect(topic: string, partition: number): void
  /** Records from the offset on are lost, and the leader epoch of the partition rises. */
  truncate(topic: string, partition: number, end: number): void
  /** No delay and no open transaction is left. */
  readonly isQuiet: boolean
  /** Resolves when it is. */
  quiet(): Promise<void>
}

export interface Arrival {
  readonly partition: number
  readonly record: LogRecord
}

interface Topic extends TopicSpec {
  readonly id: string
  readonly all: readonly MemoryPartition[]
}

const MOST_TURNS = 8
const MAX_RECORD_BYTES = 8 * 1024 * 1024
const READ_BYTES = 1024 * 1024

const appendFailed = (): HostError =>
  new HostError('LOG_FAILED', 'the memory log was told to fail this append')

export const createMemoryLog = (options: MemoryLogOptions = {}): MemoryLog => new Memory(options)

class Memory implements MemoryLog {
  readonly #faults: MemoryFaults
  readonly #clock: (() => number) | undefined
  readonly #random: Random
  readonly #turns = new Turns()
  readonly #topics = new Map<string, Topic>()
  readonly #committed = new Map<string, Map<string, Position>>()
  readonly #fences = new Map<string, number>()
  readonly #listeners = new Set<() => void>()
  readonly #readers = new Set<AssignedReader<MemoryPartition>>()
  readonly #outcomes: Outcome[] = []
  readonly #unreadable = new Set<MemoryPartition>()
  readonly #arrivals = new WeakMap<LogRecord, number>()
  #written = 0
  #isClosed = false

  constructor({ seed = 1, faults = {}, clock }: MemoryLogOptions) {
    this.#faults = faults
    this.#clock = clock
    this.#random = new Random(seed)
  }

  async describe(names: readonly string[]): Promise<ReadonlyMap<string, TopicInfo>> {
    await this.#begin()
    const infos = names.map((name) => this.#info(name)).filter((info) => info !== undefined)
    return new Map(infos.map((info) => [info.name, info]))
  }

  async topicId(name: string): Promise<string | undefined> {
    return (await this.describe([name])).get(name)?.id
  }

  async endOfEpoch(
    at: TopicPartition,
    epoch: number,
  ): Promise<{ leaderEpoch: number; end: number }> {
    await this.#begin()
    return this.#partition(at).endOfEpoch(epoch)
  }

  async offsetAt(name: string, time: number): Promise<readonly Position[]> {
    await this.#begin()
    const topic = this.#topics.get(name)
    if (topic === undefined) throw unknownTopic(name)
    this.#expire(topic)
    return topic.all.map((one, partition) => ({
      topic: name,
      partition,
      offset: one.offsetAt(time),
    }))
  }

  async ensure(specs: readonly TopicSpec[]): Promise<void> {
    await this.#begin()
    specs.forEach(checkSpec)
    const made = new Map<string, TopicSpec>()
    for (const spec of specs) {
      const found = this.#topics.get(spec.name) ?? made.get(spec.name)
      if (found === undefined) made.set(spec.name, spec)
      else if (found.kind !== spec.kind || found.partitions !== spec.partitions) {
        throw topicMismatch(spec, found)
      }
    }
    for (const spec of made.values()) {
      const all = Array.from({ length: spec.partitions }, () => new MemoryPartition())
      this.#topics.set(spec.name, { ...spec, id: this.#random.id(), all })
    }
  }

  async remove(names: readonly string[], { groups = [], ids }: RemoveOptions = {}): Promise<void> {
    await this.#begin()
    for (const group of groups) this.#committed.delete(group)
    for (const name of names) {
      const { id } = this.#topics.get(name) ?? {}
      if (id === undefined || ids?.includes(id) === false) continue
      this.#topics.delete(name)
      for (const positions of this.#committed.values()) {
        for (const [place, { topic }] of positions) if (topic === name) positions.delete(place)
      }
    }
    this.#changed()
  }

  async committed(group: string): Promise<readonly Position[]> {
    await this.#begin()
    return [...(this.#committed.get(group)?.values() ?? [])]
  }

  async append(
    records: readonly RecordToAppend[],
    options: AppendOptions = {},
  ): Promise<readonly number[]> {
    await this.#begin()
    this.#admit(records)
    const isFailing = options.isBounded === true && this.#random.happens(this.#faults.appendFailed)
    if (isFailing && this.#random.happens(0.5)) throw appendFailed()
    const offsets = this.#write(records)
    if (options.atomic === true) this.#mark(records)
    this.#changed()
    await this.#delay()
    if (isFailing) throw appendFailed()
    return offsets
  }

  reader(options: ReaderOptions = {}): LogReader {
    this.#check()
    const source = new MemorySource({
      check: () => this.#check(),
      find: (topic, partition) => {
        const found = this.#topics.get(topic)
        if (found !== undefined) this.#expire(found)
        return found?.all[partition]
      },
      delay: async () => this.#delay(),
      attempt: (at) => {
        if (!this.#unreadable.delete(this.#partition(at))) return
        const { topic: stream, partition } = at
        const message = `the memory log was told to fail this read of ${stream}/${partition}`
        throw new HostError('LOG_FAILED', message, { stream, partition })
      },
      listeners: this.#listeners,
    })
    const reader = new AssignedReader(source, options.maxBytes ?? READ_BYTES, (gone) =>
      this.#readers.delete(gone),
    )
    this.#readers.add(reader)
    return reader
  }

  async openWriter(group: string, partition: number): Promise<LogWriter> {
    await this.#begin()
    const place = `${partition} ${group}`
    const fence = (this.#fences.get(place) ?? 0) + 1
    this.#fences.set(place, fence)
    const all = this.#committed.get(group)?.values() ?? []
    const positions = [...all].filter((found) => found.partition === partition)
    const known = new Set(this.#topics.values())
    await this.#delay()
    return new MemoryWriter(positions, {
      begin: async () => this.#begin(),
      settle: async () => this.#delay(),
      isFenced: () => this.#fences.get(place) !== fence,
      madeAnew: (commit) =>
        commit.positions.find(({ topic }) => {
          const found = this.#topics.get(topic)
          return found !== undefined && !known.has(found)
        })?.topic,
      leaderEpoch: (at) => this.#partition(at).leaderEpoch,
      end: (at) => this.#partition(at).ends().end,
      outcome: () => this.#outcome(),
      write: ({ records, positions: moved }) => {
        this.#admit(records)
        for (const position of moved) this.#partition(position)
        const offsets = this.#write(records)
        this.#mark(records)
        const ofGroup = this.#committed.get(group) ?? new Map<string, Position>()
        this.#committed.set(group, ofGroup)
        for (const one of moved) ofGroup.set(`${one.partition} ${one.topic}`, one)
        this.#changed()
        return offsets
      },
    })
  }

  async join(options: JoinOptions): Promise<Membership> {
    return joinAlone(options, await this.describe(options.topics))
  }

  share(): SharedLog {
    throw new HostError('INTERNAL', 'the memory log lives in one thread: run what needs it there')
  }

  records(topic: string, partition: number): readonly LogRecord[] {
    return [...this.#partition({ topic, partition }).records]
  }

  arrivals(name: string): readonly Arrival[] {
    const topic = this.#topics.get(name)
    if (topic === undefined) throw unknownTopic(name)
    const found = topic.all.flatMap((one, partition) => {
      const { stableEnd } = one.ends()
      const visible = one.records.filter(({ offset }) => offset < stableEnd)
      return visible.map((record) => ({ partition, record }))
    })
    const order = ({ record }: Arrival) => this.#arrivals.get(record) ?? 0
    return found.sort((a, b) => order(a) - order(b))
  }

  end(topic: string, partition: number): number {
    return this.#partition({ topic, partition }).ends().end
  }

  stableEnd(topic: string, partition: number): number {
    return this.#partition({ topic, partition }).ends().stableEnd
  }

  get isQuiet(): boolean {
    return this.#turns.isQuiet
  }

  failNext(kind: 'failed' | 'unknown', options: { readonly written?: boolean } = {}): void {
    this.#outcomes.push(kind === 'failed' ? { kind } : { kind, written: options.written ?? false })
  }

  failRead(topic: string, partition: number): void {
    this.#unreadable.add(this.#partition({ topic, partition }))
  }

  trim(topic: string, partition: number, before: number): void {
    this.#partition({ topic, partition }).trim(before)
    this.#changed()
  }

  elect(topic: string, partition: number): void {
    this.#partition({ topic, partition }).elect()
    this.#changed()
  }

  truncate(topic: string, partition: number, end: number): void {
    this.#partition({ topic, partition }).truncate(end)
    this.#changed()
  }

  async quiet(): Promise<void> {
    await this.#turns.quiet()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    this.#turns.stop()
    for (const reader of [...this.#readers]) await reader[Symbol.asyncDispose]()
    await this.#turns.quiet()
  }

  #check(): void {
    if (this.#isClosed) throw logClosed()
  }

  async #begin(): Promise<void> {
    this.#check()
    await this.#delay()
    this.#check()
  }

  async #delay(): Promise<void> {
    if (this.#random.happens(this.#faults.delays)) {
      await this.#turns.pass(this.#random.upTo(MOST_TURNS))
    }
  }

  #partition({ topic, partition }: TopicPartition): MemoryPartition {
    const found = this.#topics.get(topic)?.all[partition]
    if (found === undefined) throw unknownTopic(topic, partition)
    return found
  }

  /** Before anything is written, so that a refused append leaves nothing. */
  #admit(records: readonly RecordToAppend[]): void {
    for (const record of records) {
      this.#partition(record)
      checkRecord(record, MAX_RECORD_BYTES)
    }
  }

  #write(records: readonly RecordToAppend[]): number[] {
    const touched = new Map(records.map((record) => [this.#partition(record), record.topic]))
    for (const [partition, topic] of touched) this.#disturb(partition, topic)
    return records.map((record) => {
      const partition = this.#partition(record)
      if (this.#random.happens(this.#faults.gaps)) partition.skip(this.#random.upTo(3))
      const written = partition.append(record)
      this.#arrivals.set(written, ++this.#written)
      return written.offset
    })
  }

  #disturb(partition: MemoryPartition, topic: string): void {
    if (this.#random.happens(this.#faults.emptyBatches)) {
      partition.addEmptyBatch(this.#random.upTo(3))
    }
    // A changelog has one writer, and opening a writer ends what the one before had left open.
    if (this.#topics.get(topic)?.kind === 'table') return
    if (!this.#random.happens(this.#faults.openTransactions)) return
    const abort = partition.hold()
    void this.#turns.pass(this.#random.upTo(MOST_TURNS)).then(() => {
      abort()
      this.#changed()
    })
  }

  #mark(records: readonly RecordToAppend[]): void {
    for (const partition of new Set(records.map((record) => this.#partition(record)))) {
      if (this.#random.happens(this.#faults.markers)) partition.skip(1)
    }
  }

  #outcome(): Outcome | undefined {
    const asked = this.#outcomes.shift()
    if (asked !== undefined) return asked
    if (this.#random.happens(this.#faults.failed)) return { kind: 'failed' }
    if (this.#random.happens(this.#faults.unknown)) {
      return { kind: 'unknown', written: this.#random.happens(0.5) }
    }
    return undefined
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener()
  }

  #expire(topic: Topic): void {
    if (this.#clock === undefined || topic.kind === 'table' || topic.retentionMs === undefined)
      return
    const olderThan = this.#clock() - topic.retentionMs
    for (const partition of topic.all) partition.expire(olderThan)
  }

  #info(name: string): TopicInfo | undefined {
    const topic = this.#topics.get(name)
    if (topic === undefined) return undefined
    this.#expire(topic)
    const partitions = topic.all.map((one, partition) => {
      return { partition, leaderEpoch: one.leaderEpoch, ...one.ends() }
    })
    return { name, id: topic.id, kind: topic.kind, partitions }
  }
}
