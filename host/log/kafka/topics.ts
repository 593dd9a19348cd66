// Topics as the cluster has them: described and made.
import { HostError } from '../../errors.js'
import type {
  DescribeOptions,
  Position,
  TopicInfo,
  TopicKind,
  TopicPartition,
  TopicSpec,
} from '../log.js'
import { keyOf, partitionKey } from '../log.js'
import { checkSpec, unknownTopic } from '../problems.js'
import { type Brokers, controllerMs } from './brokers.js'
import { Deadline } from './deadline.js'
import { kafkaErrors } from './error-codes.js'
import {
  brokerUnavailable,
  otherCleanup,
  otherCount,
  tooFewBrokers,
  topicMissing,
} from './problems.js'
import { createTopics } from './requests/create-topics.js'
import { describeTopicSettings } from './requests/describe-configs.js'
import { listOffsets, type OffsetAtTime, offsetAt, type TimeOf } from './requests/list-offsets.js'
import type { TopicMetadata } from './requests/metadata.js'
import { offsetForLeaderEpoch } from './requests/offset-for-leader-epoch.js'
import { right } from './rights.js'
import type { KafkaSettings } from './settings.js'
import { kafkaWriteSettings } from './write-settings.js'

interface Policy {
  readonly kind: TopicKind
  /** As Kafka has it: `compact`, `delete`, or both. */
  readonly cleanup: string
  readonly tombstoneRetentionMs?: number
}

const idMs = 1_000

const cleanupOf = { table: 'compact', stream: 'delete' } as const

export class KafkaTopics {
  readonly #brokers: Brokers
  readonly #settings: KafkaSettings
  /** By the topic's id, as they were when it was first seen. */
  readonly #policies = new Map<string, Policy>()
  readonly #ids = new Map<
    string,
    { readonly askedAt: number; readonly id: Promise<string | undefined> }
  >()

  constructor(brokers: Brokers, settings: KafkaSettings) {
    this.#brokers = brokers
    this.#settings = settings
  }

  async describe(
    names: readonly string[],
    options: DescribeOptions = {},
  ): Promise<ReadonlyMap<string, TopicInfo>> {
    return await this.#brokers.patiently(async () => {
      try {
        return await this.#describe(names, options)
      } catch (thrown) {
        // It went while it was looked at: the next look does not find it.
        const isGone = thrown instanceof HostError && thrown.code === 'UNKNOWN_TOPIC'
        throw isGone ? brokerUnavailable(thrown) : thrown
      }
    })
  }

  /** As it was a second ago at most: each emit asks. */
  async id(name: string): Promise<string | undefined> {
    const known = this.#ids.get(name)
    const now = performance.now()
    if (known !== undefined && now - known.askedAt < idMs) return await known.id
    // A broker that takes what is asked and answers nothing holds up each try: who emits is answered in time.
    const { deadlineMs } = kafkaWriteSettings(this.#settings.write)
    const found = this.#brokers.topics([name]).then((of) => of.get(name)?.id)
    const id = new Deadline(deadlineMs, this.#brokers.signal).bound(found)
    const asked = { askedAt: now, id }
    this.#ids.set(name, asked)
    let isKnown = false
    try {
      isKnown = (await id) !== undefined
      return await id
    } finally {
      // It may come at any time.
      if (!isKnown && this.#ids.get(name) === asked) this.#ids.delete(name)
    }
  }

  /** Of the partitions of a topic that exists. */
  async offsetAt(topic: string, time: number): Promise<readonly Position[]> {
    const info = (await this.describe([topic])).get(topic)
    if (info === undefined) throw unknownTopic(topic)
    const asked = info.partitions.map(({ partition }) => ({ topic, partition, time }))
    const found = await this.#offsets(asked)
    return info.partitions.map(({ partition, stableEnd }) => {
      const at = found.get(partitionKey(topic, partition))
      const offset = at === undefined || at.offset < 0 ? stableEnd : at.offset
      return { topic, partition, offset: Math.min(offset, stableEnd) }
    })
  }

  async endOfEpoch(
    { topic, partition }: TopicPartition,
    leaderEpoch: number,
  ): Promise<{ leaderEpoch: number; end: number }> {
    const asked = [{ topic, partition, leaderEpoch }]
    const [found] = await this.#brokers.askLeaders(asked, offsetForLeaderEpoch)
    if (found === undefined) throw unknownTopic(topic, partition)
    if (found.error !== kafkaErrors.NONE) throw this.#refused(found)
    if (found.end >= 0) return { leaderEpoch: found.leaderEpoch, end: found.end }
    // Of an epoch that is not yet Kafka says nothing: then it is the present one, which ends where the log does.
    const now = (await this.describe([topic])).get(topic)?.partitions[partition]
    if (now === undefined) throw unknownTopic(topic, partition)
    return leaderEpoch > now.leaderEpoch
      ? { leaderEpoch: now.leaderEpoch, end: now.stableEnd }
      : { leaderEpoch: found.leaderEpoch, end: now.oldest }
  }

  async ensure(specs: readonly TopicSpec[]): Promise<void> {
    specs.forEach(checkSpec)
    const missing = await this.#missing(specs)
    if (missing.length === 0) return
    const [first] = missing
    if (!this.#settings.createTopics && first !== undefined) {
      throw topicMissing(first, this.#settings, this.#entries(first))
    }
    await this.#make(missing)
    // Another host may have made them at the same time, otherwise; and a broker knows of them a little later.
    await this.#brokers.patiently(async () => {
      const [left] = await this.#missing(missing)
      if (left !== undefined) throw brokerUnavailable(new Error(`${left.name} is being made`))
      for (const { name, partitions } of missing) {
        for (let partition = 0; partition < partitions; partition++) {
          await this.#brokers.leader({ topic: name, partition })
        }
      }
    })
  }

  async #make(specs: readonly TopicSpec[]): Promise<void> {
    const wanted = specs.map((spec) => ({
      name: spec.name,
      partitions: spec.partitions,
      replication: spec.replication ?? this.#settings.replication,
      entries: this.#entries(spec),
    }))
    await this.#brokers.patiently(async () => {
      const request = createTopics(wanted, controllerMs)
      const { topics } = await this.#brokers.askController(request)
      for (const { name, error, message } of topics) {
        // By another host at the same time: what it made is looked at afterwards.
        if (error === kafkaErrors.NONE || error === kafkaErrors.TOPIC_ALREADY_EXISTS) continue
        if (error === kafkaErrors.INVALID_REPLICATION_FACTOR) {
          const copies = wanted.find((topic) => topic.name === name)?.replication ?? -1
          throw tooFewBrokers(name, copies, message)
        }
        const needed = [right.topic('Create', name)]
        throw this.#brokers.refused(error, `to make the topic ${name}`, needed, { message })
      }
    })
  }

  async #describe(
    names: readonly string[],
    { endsOf, knownEpoch }: DescribeOptions,
  ): Promise<ReadonlyMap<string, TopicInfo>> {
    const topics = [...(await this.#brokers.topics(names, knownEpoch)).values()]
    const at = (time: number) =>
      partitionsOf(topics, time).filter(({ partition }) => endsOf?.includes(partition) ?? true)
    const latest = at(offsetAt.latest)
    const [policies, oldest, stableEnds, ends] = await Promise.all([
      this.#policiesOf(topics),
      this.#offsets(at(offsetAt.earliest)),
      this.#offsets(latest),
      this.#offsets(latest, false),
    ])
    return new Map(
      topics.map(({ name, id, partitions }) => {
        const all = partitions.map(({ partition, leaderEpoch: led }) => {
          const key = partitionKey(name, partition)
          const [stableEnd, end] = [stableEnds.get(key), ends.get(key)]
          // Of those who told the ends: it may be another one than was named first.
          const leaderEpoch = Math.min(epochOf(stableEnd, led), epochOf(end, led))
          return {
            partition,
            leaderEpoch,
            oldest: oldest.get(key)?.offset ?? 0,
            stableEnd: stableEnd?.offset ?? 0,
            end: end?.offset ?? 0,
          }
        })
        const { kind = 'stream', tombstoneRetentionMs } = policies.get(id) ?? {}
        const retention = tombstoneRetentionMs === undefined ? {} : { tombstoneRetentionMs }
        return [name, { name, id, kind, ...retention, partitions: all }]
      }),
    )
  }

  async #offsets(
    asked: readonly TimeOf[],
    isCommitted = true,
  ): Promise<ReadonlyMap<string, OffsetAtTime>> {
    const found = await this.#brokers.askLeaders(asked, (of) => listOffsets(of, isCommitted))
    for (const one of found) if (one.error !== kafkaErrors.NONE) throw this.#refused(one)
    return new Map(found.map((one) => [keyOf(one), one]))
  }

  async #policiesOf(topics: readonly TopicMetadata[]): Promise<ReadonlyMap<string, Policy>> {
    const unknown = topics.filter(({ id }) => !this.#policies.has(id))
    if (unknown.length > 0) {
      const names = unknown.map(({ name }) => name)
      const settings = await this.#brokers.askAny(
        describeTopicSettings(['cleanup.policy', 'delete.retention.ms'], names),
      )
      const ids = new Map(unknown.map(({ name, id }) => [name, id]))
      for (const { topic, error, message, values } of settings.topics) {
        // It went meanwhile.
        if (error === kafkaErrors.UNKNOWN_TOPIC_OR_PARTITION) continue
        if (error !== kafkaErrors.NONE) {
          const needed = [right.topic('DescribeConfigs', topic)]
          throw this.#brokers.refused(error, `the settings of the topic ${topic}`, needed, {
            message,
          })
        }
        const id = ids.get(topic)
        const cleanup = values.get('cleanup.policy')
        if (id === undefined || cleanup === undefined) continue
        const isTable = cleanup.includes('compact')
        const retention = Number(values.get('delete.retention.ms'))
        this.#policies.set(id, {
          cleanup,
          kind: isTable ? 'table' : 'stream',
          ...(isTable && retention > 0 ? { tombstoneRetentionMs: retention } : {}),
        })
      }
    }
    return this.#policies
  }

  /** Throws TOPIC_MISMATCH for one that is there otherwise. */
  async #missing(specs: readonly TopicSpec[]): Promise<TopicSpec[]> {
    const found = await this.#brokers.topics(specs.map(({ name }) => name))
    const policies = await this.#policiesOf([...found.values()])
    return specs.filter((spec) => {
      const topic = found.get(spec.name)
      if (topic === undefined) return true
      const { brokers } = this.#settings
      if (topic.partitions.length !== spec.partitions) {
        throw otherCount(spec, topic.partitions.length, brokers)
      }
      const { cleanup = cleanupOf[spec.kind] } = policies.get(topic.id) ?? {}
      if (cleanup !== cleanupOf[spec.kind]) throw otherCleanup(spec, cleanup, brokers)
      return false
    })
  }

  #entries({ kind, retentionMs }: TopicSpec): { name: string; value: string }[] {
    const { retentionMs: byDefault, retentionBytes = -1, write } = this.#settings
    const { tombstoneRetentionMs } = this.#settings
    const policy = { name: 'cleanup.policy', value: cleanupOf[kind] }
    // With its batch around it.
    const size = { name: 'max.message.bytes', value: String(write.maxRecordBytes + 4096) }
    return kind === 'table'
      ? [policy, { name: 'delete.retention.ms', value: String(tombstoneRetentionMs) }, size]
      : [
          policy,
          { name: 'retention.ms', value: String(retentionMs ?? byDefault) },
          { name: 'retention.bytes', value: String(retentionBytes) },
          size,
        ]
  }

  #refused(one: TopicPartition & { readonly error: number }): HostError {
    return this.#brokers.refused(one.error, keyOf(one), [right.topic('Describe', one.topic)])
  }
}

const epochOf = (told: OffsetAtTime | undefined, otherwise: number): number =>
  told !== undefined && told.leaderEpoch >= 0 ? told.leaderEpoch : otherwise

const partitionsOf = (topics: readonly TopicMetadata[], time: number): TimeOf[] =>
  topics.flatMap(({ name, partitions }) =>
    partitions.map(({ partition }) => ({ topic: name, partition, time })),
  )
