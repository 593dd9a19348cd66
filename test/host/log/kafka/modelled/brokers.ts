// Two brokers that lead the partitions of a topic by turns, asked in Kafka's protocol. What befalls them is chosen by a seed.
import { Brokers } from '#host/log/kafka/brokers.js'
import { type KafkaErrorName, kafkaErrorName, kafkaErrors } from '#host/log/kafka/error-codes.js'
import type { KafkaRequest, Response } from '#host/log/kafka/request.js'
import type { Produced } from '#host/log/kafka/requests/produce.js'
import type { TopicPartition } from '#host/log/log.js'
import type { Choice } from '../../../../support/choice.js'
import { unconnected } from '../unconnected.js'
import { Connection } from './connection.js'
import { Partition } from './partition.js'
import {
  answerTo,
  batchesOf,
  metadataAnswer,
  type ProducedBatch,
  producedAnswer,
  producerAnswer,
} from './protocol.js'

export const topic = 'events'
const topicId = Buffer.alloc(16, 1).toString('base64url')
const nodes = [1, 2]
const partitionCount = 3
const noLeader = -1

const lossProbability = 0.04
const leaderlessProbability = 0.05
const electionProbability = 0.15

interface Trouble {
  readonly probability: number
  readonly error: KafkaErrorName
  readonly isAppended: boolean
}

/** Of each batch one at most. */
const troubles: readonly Trouble[] = [
  { probability: 0.06, error: 'NOT_ENOUGH_REPLICAS', isAppended: false },
  { probability: 0.02, error: 'UNKNOWN_TOPIC_OR_PARTITION', isAppended: false },
  { probability: 0.03, error: 'NOT_LEADER_OR_FOLLOWER', isAppended: false },
  { probability: 0.06, error: 'REQUEST_TIMED_OUT', isAppended: true },
  { probability: 0.03, error: 'NOT_ENOUGH_REPLICAS_AFTER_APPEND', isAppended: true },
  { probability: 0.04, error: 'NOT_LEADER_OR_FOLLOWER', isAppended: true },
]

export class ModelledBrokers extends Brokers {
  readonly partitions: readonly Partition[]
  /** What they have answered to batches, whether or not somebody heard it. */
  readonly answers = new Set<string>()
  readonly #choice: Choice
  readonly #maxMessageBytes: number
  readonly #connections = new Map<number, Connection>()
  #nextProducerId = 100
  #isHealed = false

  constructor(choice: Choice, maxMessageBytes: number) {
    super(unconnected(nodes))
    this.#choice = choice
    this.#maxMessageBytes = maxMessageBytes
    this.partitions = Array.from(
      { length: partitionCount },
      (_, partition) => new Partition({ topic, partition }, choice.one(nodes)),
    )
  }

  /** A partition loses its leader perhaps, and those that have none get one perhaps. */
  elect(): void {
    if (this.#choice.happens(leaderlessProbability)) {
      this.#choice.one(this.partitions).leader = noLeader
    }
    if (this.#choice.happens(electionProbability)) this.#electMissing()
  }

  /** From now on nothing befalls them; what is late comes nevertheless. */
  heal(): void {
    this.#isHealed = true
    this.#electMissing()
  }

  override async ask<R extends Response>(node: number, request: KafkaRequest<R>): Promise<R> {
    return await this.#connection(node).ask(() => this.#answer(node, request))
  }

  /** By a timer that can be virtual. */
  override async pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => setTimeout(resolve, ms))
  }

  #answer<R extends Response>(node: number, request: KafkaRequest<R>): R {
    switch (request.apiName) {
      case 'Metadata':
        return answerTo(request, metadataAnswer(this.#metadata()))
      case 'InitProducerId': {
        const producer = { producerId: this.#nextProducerId++, producerEpoch: 0 }
        return answerTo(request, producerAnswer(producer))
      }
      case 'Produce': {
        const produced = batchesOf(request).map((batch) => this.#produce(node, batch))
        return answerTo(request, producedAnswer(produced))
      }
      default:
        throw new Error(`${request.apiName} is not modelled`)
    }
  }

  #metadata() {
    const partitions = this.partitions.map(({ partition, leader, leaderEpoch }) => ({
      ...{ error: kafkaErrors.NONE, partition, leader, leaderEpoch },
      ...{ replicas: nodes, inSync: nodes },
    }))
    return { error: kafkaErrors.NONE, name: topic, id: topicId, isInternal: false, partitions }
  }

  #produce(node: number, { partition, bytes }: ProducedBatch): Produced {
    const at = { topic, partition }
    const answer = { ...at, ...this.#append(node, at, bytes), message: null }
    this.answers.add(kafkaErrorName(answer.error))
    return answer
  }

  #append(node: number, at: TopicPartition, bytes: Buffer): Pick<Produced, 'error' | 'offset'> {
    const partition = this.partitions[at.partition]
    if (partition === undefined) return refused('UNKNOWN_TOPIC_OR_PARTITION')
    if (partition.leader !== node) return refused('NOT_LEADER_OR_FOLLOWER')
    if (bytes.length > this.#maxMessageBytes) return refused('MESSAGE_TOO_LARGE')
    const trouble = this.#trouble()
    if (trouble?.isAppended === false) return refused(trouble.error)
    const appended = partition.append(bytes)
    if (trouble === undefined || appended.error !== kafkaErrors.NONE) return appended
    // Who leads now has the batch.
    if (trouble.error === 'NOT_LEADER_OR_FOLLOWER') partition.leader = this.#otherThan(node)
    return refused(trouble.error)
  }

  #trouble(): Trouble | undefined {
    if (this.#isHealed) return undefined
    let left = this.#choice.next()
    return troubles.find(({ probability }) => {
      left -= probability
      return left < 0
    })
  }

  #connection(node: number): Connection {
    const known = this.#connections.get(node)
    if (known !== undefined && !known.isLost) return known
    const opened = new Connection(this.#choice, () => (this.#isHealed ? 0 : lossProbability))
    this.#connections.set(node, opened)
    return opened
  }

  #electMissing(): void {
    for (const partition of this.partitions) {
      if (partition.leader === noLeader) partition.leader = this.#choice.one(nodes)
    }
  }

  #otherThan(node: number): number {
    return this.#choice.one(nodes.filter((other) => other !== node))
  }
}

const refused = (error: KafkaErrorName) => ({ error: kafkaErrors[error], offset: -1 })
