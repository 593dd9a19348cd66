// The log as one thread sees it: its own handle to read, and a line to the log thread for all that changes.
import type { MessagePort } from 'node:worker_threads'
import { AssignedReader } from '../assigned-reader.js'
import type {
  AppendOptions,
  JoinOptions,
  LogReader,
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
import { checkSpec, logClosed, unknownTopic } from '../problems.js'
import { joinAlone } from '../sole-member.js'
import { Bell } from './bell.js'
import { Connection } from './connection.js'
import type { LogContents, OwnedLog } from './contents.js'
import type { Database } from './database.js'
import { type Description, describeLine } from './description.js'
import { Directory } from './directory.js'
import type { Answer, Question, TopicRow } from './messages.js'
import { findByTime } from './search.js'
import { Sender } from './sender.js'
import { SharedEnds } from './shared-ends.js'
import { EmbeddedSource, type Seat } from './source.js'
import { EmbeddedWriter } from './writer.js'

const READ_BYTES = 1024 * 1024

export class EmbeddedLog implements OwnedLog {
  readonly #description: Description
  readonly #database: Database
  readonly #ends: SharedEnds
  readonly #bell: Bell
  readonly #connection: Connection
  readonly #directory: Directory
  readonly #sender: Sender
  readonly #readers = new Set<AssignedReader<Seat>>()
  readonly #end: () => Promise<void>
  #closing: Promise<void> | undefined

  /** `end` closes the database's handle when nothing of this thread uses it any more. */
  constructor(description: Description, database: Database, end: () => Promise<void>) {
    this.#description = description
    this.#end = end
    this.#database = database
    this.#ends = new SharedEnds(description.memory)
    this.#bell = new Bell(this.#ends)
    this.#connection = new Connection(description.port, this.#ends)
    this.#directory = new Directory(this.#connection, this.#ends)
    this.#sender = new Sender(this.#connection, this.#directory, this.#ends, description)
  }

  async describe(names: readonly string[]): Promise<ReadonlyMap<string, TopicInfo>> {
    this.#check()
    const rows = await this.#directory.fetch(names)
    const infos = rows.map((row) => this.#info(row)).filter((info) => info !== undefined)
    return new Map(infos.map((info) => [info.name, info]))
  }

  async topicId(name: string): Promise<string | undefined> {
    this.#check()
    // Each emit asks: one that is known costs no message to the log thread.
    await this.#directory.learn([{ topic: name }])
    return this.#directory.id(name)
  }

  async endOfEpoch(
    { topic, partition }: TopicPartition,
    leaderEpoch: number,
  ): Promise<{ leaderEpoch: number; end: number }> {
    this.#check()
    await this.#directory.fetch([topic])
    const { number } = this.#directory.place(topic, partition)
    const question = { kind: 'end-of-epoch', topic: number, partition, epoch: leaderEpoch } as const
    const answer = await this.#ask(question, 'epoch')
    return { leaderEpoch: answer.leaderEpoch, end: answer.end }
  }

  async offsetAt(topic: string, time: number): Promise<readonly Position[]> {
    const info = (await this.describe([topic])).get(topic)
    if (info === undefined) throw unknownTopic(topic)
    const { number } = this.#directory.place(topic, 0)
    const positions: Position[] = []
    for (const { partition, stableEnd } of info.partitions) {
      const offset = await findByTime(this.#database, number, { topic, partition }, stableEnd, time)
      positions.push({ topic, partition, offset })
    }
    return positions
  }

  async ensure(specs: readonly TopicSpec[]): Promise<void> {
    this.#check()
    specs.forEach(checkSpec)
    await this.#ask({ kind: 'ensure', specs }, 'done')
  }

  async remove(names: readonly string[], { groups = [], ids }: RemoveOptions = {}): Promise<void> {
    this.#check()
    await this.#ask(
      { kind: 'remove', names, groups, ...(ids === undefined ? {} : { ids }) },
      'done',
    )
  }

  async committed(group: string): Promise<readonly Position[]> {
    this.#check()
    return (await this.#ask({ kind: 'committed', group }, 'positions')).positions
  }

  /** Atomic in any case: a request is one write. */
  async append(
    records: readonly RecordToAppend[],
    options: AppendOptions = {},
  ): Promise<readonly number[]> {
    this.#check()
    if (records.length === 0) return []
    const { packed, bases } = await this.#sender.append(records, options)
    return records.map((_, i) => (bases[packed.sectionOf[i] ?? 0] ?? 0) + (packed.placeOf[i] ?? 0))
  }

  reader(options: ReaderOptions = {}): LogReader {
    this.#check()
    const source = new EmbeddedSource(this.#database, this.#directory, this.#ends, this.#bell, () =>
      this.#check(),
    )
    const reader = new AssignedReader(source, options.maxBytes ?? READ_BYTES, (gone) =>
      this.#readers.delete(gone),
    )
    this.#readers.add(reader)
    return reader
  }

  async contents(): Promise<LogContents> {
    this.#check()
    return (await this.#ask({ kind: 'contents' }, 'contents')).contents
  }

  async openWriter(group: string, partition: number): Promise<LogWriter> {
    this.#check()
    const answer = await this.#ask({ kind: 'open-writer', group, partition }, 'writer')
    const { fence, horizon } = answer
    const ref = { group, partition, fence, horizon }
    const { leaderEpoch } = this.#description
    return new EmbeddedWriter(this.#sender, ref, { leaderEpoch, positions: answer.positions })
  }

  async join(options: JoinOptions): Promise<Membership> {
    return joinAlone(options, await this.describe(options.topics))
  }

  share(): SharedLog {
    this.#check()
    const port: MessagePort = this.#connection.split()
    return { description: describeLine({ ...this.#description, port }), transfer: [port] }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async #close(): Promise<void> {
    for (const reader of [...this.#readers]) await reader[Symbol.asyncDispose]()
    await this.#connection.close()
    await this.#end()
  }

  #check(): void {
    if (this.#closing !== undefined) throw logClosed()
    const problem = this.#connection.problem()
    if (problem !== undefined) throw problem
  }

  #info(row: TopicRow): TopicInfo | undefined {
    const partitions: TopicInfo['partitions'][number][] = []
    for (const [partition, slot] of row.slots.entries()) {
      const ends = this.#ends.read(slot, row.number)
      // Removed since the answer was given.
      if (ends === undefined) return undefined
      const { leaderEpoch } = this.#description
      partitions.push({
        partition,
        leaderEpoch,
        oldest: ends.oldest,
        stableEnd: ends.end,
        end: ends.end,
      })
    }
    return { name: row.name, id: row.id, kind: row.kind, partitions }
  }

  async #ask<K extends Answer['kind']>(
    question: Question,
    wanted: K,
  ): Promise<Extract<Answer, { kind: K }>> {
    const answer = await this.#connection.ask(question)
    if (!isKind(answer, wanted)) throw new Error(`the log thread answered '${answer.kind}'`)
    return answer
  }
}

function isKind<K extends Answer['kind']>(
  answer: Answer,
  kind: K,
): answer is Extract<Answer, { kind: K }> {
  return answer.kind === kind
}
