// Topics as the cluster has them: described, made and removed.
import type { Admin } from 'kafkajs'
import { HostError } from '../../errors.js'
import type { Position, TopicInfo, TopicKind, TopicPartition, TopicSpec } from '../log.js'
import { keyOf, partitionKey } from '../log.js'
import { checkSpec, topicMismatch, unknownTopic } from '../problems.js'
import type { Brokers } from './brokers.js'
import { kafkaErrors } from './error-codes.js'
import { brokerUnavailable, refused, topicMissing } from './problems.js'
import { listOffsets, type OffsetAtTime, offsetAt, type TimeOf } from './requests/list-offsets.js'
import type { TopicMetadata } from './requests/metadata.js'
import { offsetFetch } from './requests/offset-fetch.js'
import { offsetForLeaderEpoch } from './requests/offset-for-leader-epoch.js'
import type { KafkaSettings } from './settings.js'

/** kafkajs' enumeration of them is not among what it exports to modules. */
const topicResource = 2

export class KafkaTopics implements AsyncDisposable {
  readonly #brokers: Brokers
  readonly #admin: Admin
  readonly #settings: KafkaSettings
  /** By the topic's id: a topic keeps its kind. */
  readonly #kinds = new Map<string, TopicKind>()
  #connecting: Promise<void> | undefined

  constructor(brokers: Brokers, admin: Admin, settings: KafkaSettings) {
    this.#brokers = brokers
    this.#admin = admin
    this.#settings = settings
  }

  async describe(names: readonly string[]): Promise<ReadonlyMap<string, TopicInfo>> {
    return await this.#brokers.patiently(async () => {
      try {
        return await this.#describe(names)
      } catch (thrown) {
        // It went while it was looked at: the next look does not find it.
        const isGone = thrown instanceof HostError && thrown.code === 'UNKNOWN_TOPIC'
        throw isGone ? brokerUnavailable(thrown) : thrown
      }
    })
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
    if (found.error !== kafkaErrors.NONE) throw refused(found.error, keyOf(found))
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
    await this.#brokers.patiently(async () => {
      await this.#asAdmin(async (admin) => {
        await admin.createTopics({
          waitForLeaders: false,
          topics: missing.map((spec) => ({
            topic: spec.name,
            numPartitions: spec.partitions,
            replicationFactor: spec.replication ?? this.#settings.replication,
            configEntries: this.#entries(spec),
          })),
        })
      })
    })
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

  /** One after another: Kafka has no way to remove several at once. Groups first, so that what is left is a group that begins anew. */
  async remove(names: readonly string[], groups: readonly string[]): Promise<void> {
    const found = await this.#brokers.topics(names)
    const known = await this.#asAdmin(async (admin) => {
      const all = (await admin.listGroups()).groups.map(({ groupId }) => groupId)
      const named = groups.filter((group) => all.includes(group))
      if (named.length > 0) await admin.deleteGroups(named)
      return all.filter((group) => !named.includes(group))
    })
    const readers = await this.#groupsIn(found, known)
    await this.#asAdmin(async (admin) => {
      if (found.size > 0) await admin.deleteTopics({ topics: [...found.keys()] })
    })
    await this.#brokers.patiently(async () => {
      const [left] = [...(await this.#brokers.topics([...found.keys()])).values()].filter(
        ({ name, id }) => found.get(name)?.id === id,
      )
      if (left !== undefined) throw brokerUnavailable(new Error(`${left.name} is being removed`))
    })
    // By name, and later: one that is committed in a topic that is made anew meanwhile would be forgotten with them.
    await this.#brokers.patiently(async () => {
      const [left] = await this.#groupsIn(found, readers)
      if (left !== undefined)
        throw brokerUnavailable(new Error(`positions of ${left} are forgotten`))
    })
  }

  /** Those that have a position in one of the topics. */
  async #groupsIn(
    topics: ReadonlyMap<string, unknown>,
    groups: readonly string[],
  ): Promise<string[]> {
    const within: string[] = []
    if (topics.size === 0) return within
    for (const group of groups) {
      const { positions } = await this.#brokers.askCoordinator(
        'group',
        group,
        offsetFetch(group, null),
      )
      if (positions.some(({ topic, offset }) => topics.has(topic) && offset >= 0))
        within.push(group)
    }
    return within
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connecting?.catch(() => {})
    await this.#admin.disconnect()
  }

  async #describe(names: readonly string[]): Promise<ReadonlyMap<string, TopicInfo>> {
    const topics = [...(await this.#brokers.topics(names)).values()]
    const [kinds, oldest, ends] = await Promise.all([
      this.#kindsOf(topics),
      this.#offsets(partitionsOf(topics, offsetAt.earliest)),
      this.#offsets(partitionsOf(topics, offsetAt.latest)),
    ])
    return new Map(
      topics.map(({ name, id, partitions }) => {
        const all = partitions.map(({ partition, leaderEpoch }) => {
          const key = partitionKey(name, partition)
          return {
            partition,
            leaderEpoch,
            oldest: oldest.get(key)?.offset ?? 0,
            stableEnd: ends.get(key)?.offset ?? 0,
          }
        })
        return [name, { name, id, kind: kinds.get(id) ?? 'stream', partitions: all }]
      }),
    )
  }

  async #offsets(asked: readonly TimeOf[]): Promise<ReadonlyMap<string, OffsetAtTime>> {
    const found = await this.#brokers.askLeaders(asked, listOffsets)
    for (const one of found)
      if (one.error !== kafkaErrors.NONE) throw refused(one.error, keyOf(one))
    return new Map(found.map((one) => [keyOf(one), one]))
  }

  async #kindsOf(topics: readonly TopicMetadata[]): Promise<ReadonlyMap<string, TopicKind>> {
    const unknown = topics.filter(({ id }) => !this.#kinds.has(id))
    if (unknown.length > 0) {
      const { resources } = await this.#asAdmin((admin) =>
        admin.describeConfigs({
          includeSynonyms: false,
          resources: unknown.map(({ name }) => ({
            type: topicResource,
            name,
            configNames: ['cleanup.policy'],
          })),
        }),
      )
      const ids = new Map(unknown.map(({ name, id }) => [name, id]))
      for (const { resourceName, configEntries } of resources) {
        const id = ids.get(resourceName)
        const policy = configEntries.find(({ configName }) => configName === 'cleanup.policy')
        if (id === undefined || policy === undefined) continue
        this.#kinds.set(id, policy.configValue.includes('compact') ? 'table' : 'stream')
      }
    }
    return this.#kinds
  }

  /** Throws TOPIC_MISMATCH for one that is there otherwise. */
  async #missing(specs: readonly TopicSpec[]): Promise<TopicSpec[]> {
    const found = await this.#brokers.topics(specs.map(({ name }) => name))
    const kinds = await this.#kindsOf([...found.values()])
    return specs.filter((spec) => {
      const topic = found.get(spec.name)
      if (topic === undefined) return true
      const kind = kinds.get(topic.id) ?? spec.kind
      const partitions = topic.partitions.length
      if (kind !== spec.kind || partitions !== spec.partitions) {
        throw topicMismatch(spec, { kind, partitions })
      }
      return false
    })
  }

  #entries({ kind, retentionMs }: TopicSpec): { name: string; value: string }[] {
    const { retentionMs: byDefault, tombstoneRetentionMs, write } = this.#settings
    // With its batch around it.
    const size = { name: 'max.message.bytes', value: String(write.maxRecordBytes + 4096) }
    return kind === 'table'
      ? [
          { name: 'cleanup.policy', value: 'compact' },
          { name: 'delete.retention.ms', value: String(tombstoneRetentionMs) },
          size,
        ]
      : [
          { name: 'cleanup.policy', value: 'delete' },
          { name: 'retention.ms', value: String(retentionMs ?? byDefault) },
          size,
        ]
  }

  async #asAdmin<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
    this.#connecting ??= this.#admin.connect()
    try {
      await this.#connecting
      return await work(this.#admin)
    } catch (thrown) {
      if (thrown instanceof Error && thrown.name === 'KafkaJSConnectionError') {
        this.#connecting = undefined
      }
      throw ofAdmin(thrown)
    }
  }
}

const partitionsOf = (topics: readonly TopicMetadata[], time: number): TimeOf[] =>
  topics.flatMap(({ name, partitions }) =>
    partitions.map(({ partition }) => ({ topic: name, partition, time })),
  )

/** kafkajs' errors have Kafka's name for it as their type. */
function ofAdmin(thrown: unknown): unknown {
  if (!(thrown instanceof Error) || !thrown.name.startsWith('KafkaJS')) return thrown
  if ('code' in thrown && typeof thrown.code === 'number') {
    // Made, or removed, by another host at the same time: the look afterwards tells.
    return refused(thrown.code, 'what was asked of its topics and groups')
  }
  return brokerUnavailable(thrown)
}
