// The log on Apache Kafka, as one thread sees it: with connections of its own, whatever other threads have.
import { randomUUID } from 'node:crypto'
import type { Kafka } from 'kafkajs'
import { unlessAborted } from '../../within.js'
import { AssignedReader } from '../assigned-reader.js'
import type {
  AppendOptions,
  DescribeOptions,
  JoinOptions,
  Log,
  LogDescription,
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
  WriterOptions,
} from '../log.js'
import { logClosed } from '../problems.js'
import { KafkaAppender } from './appender.js'
import { Brokers } from './brokers.js'
import { describeKafka, readKafkaDescription } from './description.js'
import { LeaderEpochs } from './leader-epochs.js'
import { AskedMembers, type Members, OwnMembers } from './members.js'
import { joinKafkaGroup } from './membership.js'
import { committedPositions } from './positions.js'
import type { KafkaSeat } from './seat.js'
import { Seeds } from './seeds.js'
import { connectionTo, type KafkaSettings } from './settings.js'
import { KafkaSource } from './source.js'
import { checkTls } from './tls.js'
import { removeTopics } from './topic-removal.js'
import { KafkaTopics } from './topics.js'
import { noMember, openKafkaWriter } from './writer.js'

const readBytes = 1024 * 1024

export interface KafkaLogOptions {
  /** Asked before topics are made, and before a group is joined; what it rejects with, they reject with. */
  mayUse?(log: Log): Promise<void>
}

/**
 * In the main thread. Nothing is asked of the cluster before something is asked of the log, but to end what the same host has left
 * open before. Throws BAD_CONFIG.
 */
export function openKafkaLog(settings: KafkaSettings, options: KafkaLogOptions = {}): Log {
  if (settings.ssl !== undefined) checkTls(settings.ssl)
  const log = new KafkaLog(settings, new OwnMembers(settings.membersFile), options)
  if (settings.host?.isNew === false) log.takeOver()
  return log
}

/** In another thread of the process, from what `share()` returned. */
export function attachKafkaLog(description: LogDescription): Log {
  const { settings, port } = readKafkaDescription(description)
  const log = new KafkaLog(settings, new AskedMembers(port))
  log.ahead()
  return log
}

class KafkaLog implements Log {
  readonly #settings: KafkaSettings
  readonly #kafka: Kafka
  readonly #seeds: Seeds
  readonly #epochs = new LeaderEpochs()
  /** For what is answered at once: what waits on purpose, or must not be waited for, has connections of its own. */
  readonly #control: Brokers
  readonly #writing: Brokers
  /** For readers that never have a broker wait: they do not hold each other up. */
  readonly #brief: Brokers
  readonly #topics: KafkaTopics
  readonly #appender: KafkaAppender
  readonly #members: Members
  readonly #options: KafkaLogOptions
  readonly #readers = new Set<AssignedReader<KafkaSeat>>()
  readonly #memberships = new Set<Membership>()
  #closing: Promise<void> | undefined

  constructor(settings: KafkaSettings, members: Members, options: KafkaLogOptions = {}) {
    const { clientId, host, write } = settings
    this.#settings = settings
    this.#members = members
    this.#options = options
    this.#seeds = new Seeds(settings.brokers)
    this.#kafka = connectionTo(settings, this.#seeds)
    this.#control = this.#brokers()
    this.#writing = this.#brokers()
    this.#brief = this.#brokers()
    this.#topics = new KafkaTopics(this.#control, settings)
    const name = `${clientId}-append-${host?.id ?? randomUUID()}`
    this.#appender = new KafkaAppender(this.#writing, { name, settings: write })
  }

  /** What is asked first does not wait for connections to be opened. */
  ahead(): void {
    this.#control.ahead()
    this.#writing.ahead()
  }

  takeOver(): void {
    this.#appender.takeOver()
  }

  async describe(
    names: readonly string[],
    options?: DescribeOptions,
  ): Promise<ReadonlyMap<string, TopicInfo>> {
    return await this.#open(() => this.#topics.describe(names, options))
  }

  async topicId(name: string): Promise<string | undefined> {
    return await this.#open(() => this.#topics.id(name))
  }

  async endOfEpoch(
    partition: TopicPartition,
    leaderEpoch: number,
  ): Promise<{ leaderEpoch: number; end: number }> {
    return await this.#open(() => this.#topics.endOfEpoch(partition, leaderEpoch))
  }

  async offsetAt(topic: string, time: number): Promise<readonly Position[]> {
    return await this.#open(() => this.#topics.offsetAt(topic, time))
  }

  async ensure(specs: readonly TopicSpec[]): Promise<void> {
    await this.#open(async () => {
      await this.#options.mayUse?.(this)
      await this.#topics.ensure(specs)
    })
  }

  async remove(names: readonly string[], options: RemoveOptions = {}): Promise<void> {
    await this.#open(() => removeTopics(this.#control, names, options))
  }

  async committed(group: string): Promise<readonly Position[]> {
    return await this.#open(() => committedPositions(this.#control, group))
  }

  async append(
    records: readonly RecordToAppend[],
    options: AppendOptions = {},
  ): Promise<readonly number[]> {
    return await this.#open(() => this.#appender.append(records, options))
  }

  reader({ maxBytes: asked, isBrief = false, topics }: ReaderOptions = {}): LogReader {
    this.#check()
    const maxBytes = asked ?? this.#settings.fetchBytes ?? readBytes
    const brokers = isBrief ? this.#brief : this.#brokers()
    const source = new KafkaSource(brokers, () => this.#check(), {
      maxBytes,
      isBrief,
      metadataIntervalMs: this.#settings.group.metadataIntervalMs,
    })
    brokers.ahead(topics)
    const reader = new AssignedReader(source, maxBytes, (gone) => this.#readers.delete(gone))
    this.#readers.add(reader)
    return reader
  }

  async openWriter(
    group: string,
    partition: number,
    options: WriterOptions = {},
  ): Promise<LogWriter> {
    const asMember = async () => {
      const member = await this.#members.of(group)
      // Of a group that it was in: to write as an outsider would fence the one who came after.
      if (member === null) throw noMember(group)
      return member
    }
    return await this.#open(async () => {
      // As it is now: a writer of a generation that is over is not to write for the next one, unless it is told to.
      const member = await asMember()
      return await openKafkaWriter(this.#writing, {
        group,
        partition,
        ...options,
        settings: this.#settings.write,
        ...(member === undefined ? {} : { member }),
        asMember,
      })
    })
  }

  async join(options: JoinOptions): Promise<Membership> {
    const members = this.#members
    if (!(members instanceof OwnMembers)) {
      throw new TypeError('groups are joined by the thread that has opened the log first')
    }
    return await this.#open(async () => {
      const { signal = new AbortController().signal } = options
      if (this.#options.mayUse) await unlessAborted(this.#options.mayUse(this), signal)
      const membership = await joinKafkaGroup({
        ...options,
        members,
        control: this.#control,
        // A request to join waits for all others, and holds up what is sent after it on its connection.
        brokers: this.#brokers(),
        times: this.#settings.group,
        moves: this.#settings.moves,
        // How many partitions they have: those without a leader keep nobody from the others.
        describe: (names) => this.#topics.describe(names, { endsOf: [] }),
      })
      this.#memberships.add(membership)
      const kept: Membership = {
        members: () => membership.members(),
        holds: () => membership.holds(),
        heartbeat: () => membership.heartbeat?.(),
        [Symbol.asyncDispose]: async () => {
          await membership[Symbol.asyncDispose]()
          this.#memberships.delete(membership)
        },
      }
      return kept
    })
  }

  share(): SharedLog {
    this.#check()
    const port = this.#members.split()
    const settings = { ...this.#settings, brokers: this.#seeds.all }
    return { description: describeKafka(settings, port), transfer: [port] }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async #close(): Promise<void> {
    for (const membership of this.#memberships) await membership[Symbol.asyncDispose]()
    for (const reader of [...this.#readers]) await reader[Symbol.asyncDispose]()
    await this.#appender[Symbol.asyncDispose]()
    this.#members.close()
    await this.#control[Symbol.asyncDispose]()
    await this.#writing[Symbol.asyncDispose]()
    await this.#brief[Symbol.asyncDispose]()
  }

  /** With connections of their own. */
  #brokers(): Brokers {
    return new Brokers(this.#kafka, this.#settings, this.#seeds, this.#epochs)
  }

  /** What was under way when it was closed has failed of that. */
  async #open<T>(work: () => Promise<T>): Promise<T> {
    this.#check()
    try {
      return await work()
    } catch (thrown) {
      this.#check()
      throw thrown
    }
  }

  #check(): void {
    if (this.#closing !== undefined) throw logClosed()
  }
}
