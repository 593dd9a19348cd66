// The brokers of a cluster, by what they are asked for: any of them, the leader of a partition, the coordinator of a group or a transaction.
import { setMaxListeners } from 'node:events'
import { setTimeout as rest } from 'node:timers/promises'
import type { Broker, Cluster, Kafka } from 'kafkajs'
import { HostError } from '../../errors.js'
import { type KnownEpoch, keyOf, partitionKey, type TopicPartition } from '../log.js'
import { unknownTopic } from '../problems.js'
import { openCluster } from './cluster.js'
import { asBrokerError, explained } from './connecting.js'
import { isMoved, kafkaErrors } from './error-codes.js'
import { hasHeardOf, LeaderEpochs } from './leader-epochs.js'
import { Link } from './link.js'
import { brokerUnavailable, type Refusal, refused } from './problems.js'
import type { KafkaRequest, Led, Response } from './request.js'
import { findCoordinator } from './requests/find-coordinator.js'
import { type Metadata, metadata, type TopicMetadata } from './requests/metadata.js'
import { type Right, right } from './rights.js'
import type { Seeds } from './seeds.js'
import type { KafkaAccess } from './settings.js'
import { answerMs } from './write-settings.js'

export interface Leader {
  readonly node: number
  readonly leaderEpoch: number
  readonly topicId: string
}

export type CoordinatorOf = Parameters<typeof findCoordinator>[0]

/** An answer for a partition. */
type Answered = TopicPartition & { readonly error: number }

/** Asked again as long as others would be, unless settings say how long: a cluster elects a leader, or a coordinator loads, for seconds. */
const patienceMs = 30_000
const retryMinMs = 20
const retryMaxMs = 500

/** What the controller may take for a change to topics; then it is looked at what has come of it. */
export const controllerMs = 10_000

/** Another broker is the coordinator, or this one will be it in a moment. */
const isElsewhere = (error: number): boolean =>
  error === kafkaErrors.NOT_COORDINATOR ||
  error === kafkaErrors.COORDINATOR_NOT_AVAILABLE ||
  error === kafkaErrors.COORDINATOR_LOAD_IN_PROGRESS

/** Has connections of its own: who must not wait behind another's long polls takes another one. */
export class Brokers implements AsyncDisposable {
  readonly epochs: LeaderEpochs
  readonly #kafka: Kafka
  #cluster: Cluster
  readonly #access: KafkaAccess | undefined
  readonly #seeds: Seeds | undefined
  readonly #links = new Map<Broker, Link>()
  readonly #topics = new Map<string, TopicMetadata>()
  readonly #coordinators = new Map<string, number>()
  readonly #end = new AbortController()
  /** Whose connection has failed since it answered last: asked last of all. */
  readonly #failing = new Set<number>()
  /** Who has answered last when any would do: asked first. −1: nobody yet. */
  #last = -1
  /** Another one is, the next time. */
  #isToTurn = false
  #connecting: Promise<void> | undefined

  /**
   * `access`: for what is to be told of a connection that fails, or of a right that is missing. `seeds`: of this `kafka`. `epochs`: shared
   * with others that ask the same cluster.
   */
  constructor(kafka: Kafka, access?: KafkaAccess, seeds?: Seeds, epochs = new LeaderEpochs()) {
    this.epochs = epochs
    this.#kafka = kafka
    this.#seeds = seeds
    this.#cluster = openCluster(kafka)
    this.#access = access
    // Everybody who waits listens to it.
    setMaxListeners(0, this.#end.signal)
  }

  /** Aborted when it is closed. */
  get signal(): AbortSignal {
    return this.#end.signal
  }

  /** Opens a connection, or one to each leader of these topics; what keeps it from that is told when something is asked. */
  ahead(topics: readonly string[] = []): void {
    const opened = topics.length === 0 ? this.metadataOnce([]) : this.#linkLeaders(topics)
    opened.catch(() => {})
  }

  async #linkLeaders(topics: readonly string[]): Promise<void> {
    const found = [...(await this.topics(topics)).values()]
    const nodes = new Set(found.flatMap(({ partitions }) => partitions.map(({ leader }) => leader)))
    await Promise.all([...nodes].map((node) => this.#link(node)))
  }

  /** Rejects with BROKER_UNAVAILABLE when it cannot be reached, BROKER_UNSUPPORTED. */
  async ask<R extends Response>(node: number, request: KafkaRequest<R>): Promise<R> {
    try {
      const answer = await (await this.#link(node)).ask(request)
      this.#failing.delete(node)
      return answer
    } catch (thrown) {
      this.#failing.add(node)
      this.#lost(node)
      // kafkajs would go on with a connection whose other end is gone.
      if (thrown instanceof Error && thrown.name === 'KafkaJSRequestTimeoutError') this.#drop(node)
      throw asBrokerError(thrown)
    }
  }

  /**
   * As `ask`, for so long. A broker that has not answered after `limitMs` loses its connections, with what else waits on them: kafkajs
   * would go on with one whose other end is gone.
   */
  async askWithin<R extends Response>(
    node: number,
    request: KafkaRequest<R>,
    withinMs: number,
    limitMs: number,
  ): Promise<R> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      const end = () => {
        if (withinMs >= limitMs) this.#drop(node)
        reject(brokerUnavailable(new Error(`broker ${node} has not answered in time`)))
      }
      timer = setTimeout(end, Math.min(withinMs, limitMs))
    })
    try {
      return await Promise.race([this.ask(node, request), late])
    } finally {
      clearTimeout(timer)
    }
  }

  async askAny<R extends Response>(request: KafkaRequest<R>): Promise<R> {
    return await this.patiently(() => this.askAnyOnce(request))
  }

  /** Each of them once, until one answers; if no answer `isOfUse`, what was answered last. */
  async askAnyOnce<R extends Response>(
    request: KafkaRequest<R>,
    isOfUse: (answer: R) => boolean = () => true,
  ): Promise<R> {
    await this.#connected()
    let failure: unknown
    let found: R | undefined
    for (const node of this.#inTurn()) {
      try {
        found = await this.ask(node, request)
        this.#last = node
        if (isOfUse(found)) return found
      } catch (thrown) {
        failure = thrown
      }
    }
    if (found !== undefined) return found
    this.#connecting = undefined
    throw failure ?? brokerUnavailable(undefined)
  }

  #inTurn(): number[] {
    const nodes = this.#cluster.getNodeIds().map(Number)
    const last = nodes.indexOf(this.#last)
    const first = this.#isToTurn ? last + 1 : Math.max(0, last)
    this.#isToTurn = false
    const turned = [...nodes.slice(first), ...nodes.slice(0, first)]
    const isFailing = (node: number) => this.#failing.has(node)
    return [...turned.filter((node) => !isFailing(node)), ...turned.filter(isFailing)]
  }

  /**
   * As `askAnyOnce`, of these topics, or of all, by a broker that does not lag behind what others have told, or behind what is `known`, if
   * there is one. Connections that are opened later begin with the brokers that there are.
   */
  async metadataOnce(names: readonly string[] | null, known?: KnownEpoch): Promise<Metadata> {
    const found = await this.askAnyOnce(metadata(names), ({ topics }) => {
      const isNew = this.epochs.heard(topics)
      // What is known may be of what the cluster was before: it is remembered only when a broker tells it.
      return isNew && (known === undefined || hasHeardOf(topics, known))
    })
    this.#seeds?.heard(found.brokers)
    return found
  }

  /** As `metadataOnce`, asked again for a while. */
  async metadata(names: readonly string[] | null, known?: KnownEpoch): Promise<Metadata> {
    return await this.patiently(() => this.metadataOnce(names, known))
  }

  /** It changes topics for the whole cluster. */
  async askController<R extends Response>(request: KafkaRequest<R>): Promise<R> {
    const { controller } = await this.metadata([])
    return await this.ask(controller, request)
  }

  /** Each of the cluster. */
  async askAll<R extends Response>(request: KafkaRequest<R>): Promise<R[]> {
    const { brokers } = await this.metadata([])
    return await Promise.all(brokers.map(({ id }) => this.ask(id, request)))
  }

  /** Of an answer of one of them; `needed`: the rights without which it is refused. */
  refused(error: number, what: string, needed: readonly Right[], further: Refusal = {}): HostError {
    return refused(error, what, { ...further, access: this.#access, needed })
  }

  /** What the cluster knows of these topics now; a name that does not exist is absent. `known`: as in `metadataOnce`. */
  async topics(
    names: readonly string[],
    known?: KnownEpoch,
  ): Promise<ReadonlyMap<string, TopicMetadata>> {
    const found = new Map<string, TopicMetadata>()
    if (names.length === 0) return found
    const { topics } = await this.metadata([...new Set(names)], known)
    for (const topic of topics) {
      if (topic.error === kafkaErrors.UNKNOWN_TOPIC_OR_PARTITION) this.#topics.delete(topic.name)
      else if (topic.error !== kafkaErrors.NONE && !isMoved(topic.error)) {
        throw this.refused(topic.error, `the topic ${topic.name}`, [
          right.topic('Describe', topic.name),
        ])
      } else {
        this.#topics.set(topic.name, topic)
        found.set(topic.name, topic)
      }
    }
    return found
  }

  /** As `topics`, by another broker than was asked last: that one may be cut off from the others. */
  async topicsAnew(names: readonly string[]): Promise<ReadonlyMap<string, TopicMetadata>> {
    this.#isToTurn = true
    return await this.topics(names)
  }

  /** The ids of the topics of these names, or of all that there are. */
  async topicIds(names?: readonly string[]): Promise<Map<string, string>> {
    if (names !== undefined) {
      return new Map([...(await this.topics(names))].map(([name, { id }]) => [name, id]))
    }
    const { topics } = await this.metadata(null)
    return new Map(topics.map(({ name, id }) => [name, id]))
  }

  /** Throws UNKNOWN_TOPIC; BROKER_UNAVAILABLE while it has none. */
  async leader({ topic, partition }: TopicPartition): Promise<Leader> {
    const found = this.#topics.get(topic) ?? (await this.topics([topic])).get(topic)
    if (found === undefined) throw unknownTopic(topic)
    const at = found.partitions[partition]
    if (at === undefined) {
      this.#topics.delete(topic)
      throw unknownTopic(topic, partition)
    }
    if (at.leader < 0) {
      this.#topics.delete(topic)
      throw brokerUnavailable(
        new Error(`${partitionKey(topic, partition)} has no leader for the moment`),
      )
    }
    return { node: at.leader, leaderEpoch: at.leaderEpoch, topicId: found.id }
  }

  /** By the node that leads them. Throws as `leader` does. */
  async byLeader<P extends TopicPartition>(partitions: readonly P[]): Promise<Map<number, P[]>> {
    const byNode = new Map<number, P[]>()
    for (const one of partitions) {
      const { node } = await this.leader(one)
      const known = byNode.get(node)
      if (known === undefined) byNode.set(node, [one])
      else known.push(one)
    }
    return byNode
  }

  /** It is looked up anew before it is asked again, and of another broker: the one before may be cut off from the others for long. */
  forgetTopic(topic: string): void {
    this.#isToTurn = true
    this.#topics.delete(topic)
  }

  /**
   * One request for each leader, with the epoch in which it is known to lead: one that does not know yet that it leads no more does not answer
   * then. Partitions whose leader has moved are asked for again, for a while. Unknown ones: UNKNOWN_TOPIC.
   */
  async askLeaders<P extends TopicPartition, A extends Answered>(
    partitions: readonly P[],
    request: (
      of: readonly (P & Led)[],
    ) => KafkaRequest<Response & { readonly partitions: readonly A[] }>,
  ): Promise<A[]> {
    const answers: A[] = []
    let left = partitions
    await this.patiently(async () => {
      const asked = await Promise.allSettled(
        [...(await this.byLeader(left))].map(async ([node, of]) => {
          const led = await this.#led(of)
          const { partitions } = await this.ask(node, request(led))
          for (const answer of partitions) {
            if (answer.error !== kafkaErrors.FENCED_LEADER_EPOCH) continue
            const one = led.find((of) => keyOf(of) === keyOf(answer))
            if (one !== undefined) {
              this.epochs.isOver(one.topicId, one.partition, one.currentLeaderEpoch)
            }
          }
          return partitions
        }),
      )
      let failure: unknown
      for (const outcome of asked) {
        if (outcome.status === 'rejected') failure ??= outcome.reason
        else {
          for (const answer of outcome.value) {
            if (isMoved(answer.error)) {
              this.forgetTopic(answer.topic)
              failure ??= refused(answer.error, keyOf(answer))
            } else answers.push(answer)
          }
        }
      }
      const done = new Set(answers.map(keyOf))
      left = left.filter((one) => !done.has(keyOf(one)))
      if (failure !== undefined) throw failure
    })
    return answers
  }

  async #led<P extends TopicPartition>(
    partitions: readonly P[],
  ): Promise<(P & Led & { readonly topicId: string })[]> {
    const led: (P & Led & { readonly topicId: string })[] = []
    for (const one of partitions) {
      const { leaderEpoch: currentLeaderEpoch, topicId } = await this.leader(one)
      led.push({ ...one, currentLeaderEpoch, topicId })
    }
    return led
  }

  /** The broker's number; asked for once. */
  async coordinator(type: CoordinatorOf, key: string): Promise<number> {
    const known = this.#coordinators.get(`${type} ${key}`)
    if (known !== undefined) return known
    const { error, broker } = await this.askAnyOnce(findCoordinator(type, key))
    if (error !== kafkaErrors.NONE) {
      // Describe would do for the question, but not for what it is asked for.
      const needed = type === 'group' ? right.group('Read', key) : right.transactions(key)
      throw this.refused(error, `the coordinator of ${type} ${key}`, [needed])
    }
    this.#coordinators.set(`${type} ${key}`, broker)
    return broker
  }

  /** Asked again for a while when it is not ready, or another broker is it by now. */
  async askCoordinator<R extends Response & { readonly error: number }>(
    type: CoordinatorOf,
    key: string,
    request: KafkaRequest<R>,
    withinMs?: number,
  ): Promise<R> {
    return await this.patiently(async () => {
      const answer = await this.ask(await this.coordinator(type, key), request)
      if (!isElsewhere(answer.error)) return answer
      this.forgetCoordinator(type, key)
      throw refused(answer.error, `the coordinator of ${type} ${key}`)
    }, withinMs)
  }

  forgetCoordinator(type: CoordinatorOf, key: string): void {
    this.#coordinators.delete(`${type} ${key}`)
  }

  /** Tries again whatever may pass by itself, until it does not; then the last failure. */
  async patiently<T>(
    work: () => Promise<T>,
    withinMs = this.#access?.write?.deadlineMs ?? patienceMs,
  ): Promise<T> {
    const end = performance.now() + withinMs
    for (let pauseMs = retryMinMs; ; pauseMs = Math.min(pauseMs * 2, retryMaxMs)) {
      try {
        return await work()
      } catch (thrown) {
        const mayPass = thrown instanceof HostError && thrown.retryable
        if (!mayPass || this.signal.aborted || performance.now() + pauseMs > end) throw thrown
      }
      await this.pause(pauseMs)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort()
    // kafkajs would wait for every answer, that of a long poll too.
    for (const link of this.#links.values()) link.cut(closed())
    await this.#connecting?.catch(() => {})
    await this.#cluster.disconnect()
  }

  /** Ends early when it is closed. */
  async pause(ms: number): Promise<void> {
    await rest(ms, undefined, { signal: this.signal }).catch(() => {})
  }

  async #connected(): Promise<void> {
    if (this.signal.aborted) throw closed()
    this.#connecting ??= this.#connect()
    try {
      await this.#connecting
    } catch (thrown) {
      this.#connecting = undefined
      throw thrown
    }
  }

  async #connect(): Promise<void> {
    try {
      await this.#cluster.connect()
      await this.#cluster.refreshMetadata()
    } catch (thrown) {
      if (!this.signal.aborted) this.#beginAnew()
      throw await explained(thrown, this.#access)
    }
  }

  /** kafkajs would go on asking by a connection on which nothing is answered, since nobody has closed it. */
  #beginAnew(): void {
    for (const link of this.#links.values()) link.cut(brokerUnavailable(undefined))
    this.#links.clear()
    void this.#cluster.disconnect().catch(() => {})
    this.#cluster = openCluster(this.#kafka)
  }

  async #link(node: number): Promise<Link> {
    await this.#connected()
    const broker = await this.#cluster.findBroker({ nodeId: String(node) })
    const known = this.#links.get(broker)
    if (known !== undefined) return known
    const requestMs = this.#access?.write?.requestTimeoutMs
    const link = new Link(broker, requestMs === undefined ? undefined : requestMs + answerMs)
    this.#links.set(broker, link)
    return link
  }

  #drop(node: number): void {
    this.#cluster
      .findBroker({ nodeId: String(node) })
      .then((broker) => this.#links.get(broker)?.drop())
      // It has no connection, then.
      .catch(() => {})
  }

  /** Whatever it was asked for may be another's by now. */
  #lost(node: number): void {
    for (const [name, { partitions }] of this.#topics) {
      if (partitions.some(({ leader }) => leader === node)) this.#topics.delete(name)
    }
    for (const [key, broker] of this.#coordinators) {
      if (broker === node) this.#coordinators.delete(key)
    }
  }
}

const closed = (): HostError => brokerUnavailable(new Error('its log is closed'))
