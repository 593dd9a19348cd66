// Three brokers that do not tell the same of who leads.
import { Brokers, type Leader } from '#host/log/kafka/brokers.js'
import { kafkaErrors } from '#host/log/kafka/error-codes.js'
import type { LeaderEpochs } from '#host/log/kafka/leader-epochs.js'
import type { KafkaRequest, Response } from '#host/log/kafka/request.js'
import { listOffsets, offsetAt } from '#host/log/kafka/requests/list-offsets.js'
import type { Metadata, TopicMetadata } from '#host/log/kafka/requests/metadata.js'
import type { TopicPartition } from '#host/log/log.js'
import { unconnected } from './unconnected.js'

export const topic = 'sums'

/** What a broker takes for true, of all topics. */
export interface View {
  leader: number
  leaderEpoch: number
}

export const nodes = [1, 2, 3]

export interface ScriptOptions {
  readonly epochs?: LeaderEpochs
  /** Of one partition each. */
  readonly topics?: readonly string[]
}

/** Each with a view of its own; whoever takes himself for the leader ends at ten times his epoch. */
export class Scripted extends Brokers {
  readonly views: readonly View[]
  readonly asked: string[] = []
  /** What the next fetches are given, each of the first topic. */
  readonly batches: Buffer[] = []
  /** Whoever asks who leads this topic waits. */
  held: { readonly topic: string; readonly until: Promise<void>; isAsked: boolean } | undefined
  readonly #names: readonly string[]
  #epoch = -1

  constructor(views: readonly View[], { epochs, topics = [topic] }: ScriptOptions = {}) {
    super(unconnected(nodes), undefined, undefined, epochs)
    this.views = views
    this.#names = topics
  }

  /** How often it was asked for, of this broker or of all. */
  count(apiName: string, node?: number): number {
    const asked = node === undefined ? `${apiName} ` : `${apiName} ${node}`
    return this.asked.filter((one) => one.startsWith(asked)).length
  }

  override async ask<R extends Response>(node: number, request: KafkaRequest<R>): Promise<R> {
    this.asked.push(`${request.apiName} ${node}`)
    const view = this.views[node - 1] ?? { leader: -1, leaderEpoch: -1 }
    switch (request.apiName) {
      case 'Metadata':
        return metadataOf(view, this.#names) as unknown as R
      case 'DescribeConfigs':
        return policiesOf(this.#names) as unknown as R
      case 'Fetch':
        return (await this.#fetch(node, view)) as unknown as R
      default:
        return this.#end(node, view) as unknown as R
    }
  }

  override async leader(partition: TopicPartition): Promise<Leader> {
    const { held } = this
    if (held?.topic === partition.topic) {
      held.isAsked = true
      await held.until
    }
    return await super.leader(partition)
  }

  override askLeaders: Brokers['askLeaders'] = async (partitions, request) =>
    await super.askLeaders(partitions, (of) => {
      this.#epoch = of[0]?.currentLeaderEpoch ?? -1
      return request(of)
    })

  async ends() {
    const at = { topic, partition: 0, time: offsetAt.latest }
    const [found] = await this.askLeaders([at], (of) => listOffsets(of, false))
    return { offset: found?.offset, leaderEpoch: found?.leaderEpoch }
  }

  #end(node: number, { leader, leaderEpoch }: View) {
    const { NONE, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, NOT_LEADER_OR_FOLLOWER } = kafkaErrors
    const refusal =
      (this.#epoch < leaderEpoch && FENCED_LEADER_EPOCH) ||
      (this.#epoch > leaderEpoch && UNKNOWN_LEADER_EPOCH) ||
      (leader !== node && NOT_LEADER_OR_FOLLOWER)
    const one = { topic, partition: 0, error: refusal || NONE, timestamp: -1 }
    return { throttleMs: 0, partitions: [{ ...one, offset: leaderEpoch * 10, leaderEpoch }] }
  }

  /** One that is cut off answers with nothing, in time and without an error. */
  async #fetch(node: number, { leader, leaderEpoch }: View) {
    await this.pause(1)
    const error = leader === node ? kafkaErrors.NONE : kafkaErrors.NOT_LEADER_OR_FOLLOWER
    const end = leaderEpoch * 10
    const partitions = this.#names.map((name, i) => ({
      ...{ topic: name, partition: 0, error, oldest: 0, stableEnd: end, highWatermark: end },
      ...{ aborted: [], diverged: undefined },
      batches: (i === 0 ? this.batches.shift() : undefined) ?? Buffer.alloc(0),
    }))
    return { throttleMs: 0, error: 0, partitions }
  }
}

/** The topic of a name has it as its id, too. */
export function told({ leader, leaderEpoch }: View, name = topic): TopicMetadata {
  const partition = { partition: 0, error: 0, leader, leaderEpoch, replicas: nodes, inSync: nodes }
  return { error: 0, name, id: name, isInternal: false, partitions: [partition] }
}

function metadataOf(view: View, names: readonly string[]): Metadata {
  const topics = names.map((name) => told(view, name))
  return { throttleMs: 0, brokers: [], clusterId: null, controller: 1, topics }
}

function policiesOf(names: readonly string[]) {
  const values = new Map([['cleanup.policy', 'delete']])
  return { throttleMs: 0, topics: names.map((one) => ({ topic: one, error: 0, values })) }
}
