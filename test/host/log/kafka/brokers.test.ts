// Who is asked, when brokers do not tell the same of who leads.
import type { Kafka } from 'kafkajs'
import t from 'tap'
import { Brokers } from '#host/log/kafka/brokers.js'
import { kafkaErrors } from '#host/log/kafka/error-codes.js'
import type { KafkaRequest, Response } from '#host/log/kafka/request.js'
import { listOffsets, offsetAt } from '#host/log/kafka/requests/list-offsets.js'
import type { Metadata } from '#host/log/kafka/requests/metadata.js'

const topic = 'sums'
const at = { topic, partition: 0, time: offsetAt.latest }

/** What a broker takes for true. */
interface View {
  leader: number
  leaderEpoch: number
}

const nodes = [1, 2, 3]

/** Three brokers, each with a view of its own; whoever takes himself for the leader ends at ten times his epoch. */
class Scripted extends Brokers {
  readonly views: readonly View[]
  readonly asked: string[] = []

  constructor(...views: readonly View[]) {
    const cluster = {
      connect: async () => {},
      refreshMetadata: async () => {},
      disconnect: async () => {},
      getNodeIds: () => nodes.map(String),
    }
    const consumer = (of: { partitionAssigners: readonly ((given: object) => unknown)[] }) =>
      of.partitionAssigners[0]?.({ cluster })
    super({ consumer } as unknown as Kafka)
    this.views = views
  }

  override async ask<R extends Response>(node: number, request: KafkaRequest<R>): Promise<R> {
    this.asked.push(`${request.apiName} ${node}`)
    const { leader, leaderEpoch } = this.views[node - 1] ?? { leader: -1, leaderEpoch: -1 }
    const answer =
      request.apiName === 'Metadata' ? metadataOf(leader, leaderEpoch) : this.#end(node)
    return answer as unknown as R
  }

  async ends() {
    const [found] = await this.askLeaders([at], (of) => {
      this.#epoch = of[0]?.currentLeaderEpoch ?? -1
      return listOffsets(of, false)
    })
    return { offset: found?.offset, leaderEpoch: found?.leaderEpoch }
  }

  #epoch = -1

  #end(node: number) {
    const { leader, leaderEpoch } = this.views[node - 1] ?? { leader: -1, leaderEpoch: -1 }
    const { NONE, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, NOT_LEADER_OR_FOLLOWER } = kafkaErrors
    const refusal =
      (this.#epoch < leaderEpoch && FENCED_LEADER_EPOCH) ||
      (this.#epoch > leaderEpoch && UNKNOWN_LEADER_EPOCH) ||
      (leader !== node && NOT_LEADER_OR_FOLLOWER)
    const one = { topic, partition: 0, error: refusal || NONE, timestamp: -1 }
    return { throttleMs: 0, partitions: [{ ...one, offset: leaderEpoch * 10, leaderEpoch }] }
  }
}

function metadataOf(leader: number, leaderEpoch: number): Metadata {
  const partition = { partition: 0, error: 0, leader, leaderEpoch, replicas: nodes, inSync: nodes }
  const of = { error: 0, name: topic, id: 'id', isInternal: false, partitions: [partition] }
  return { throttleMs: 0, brokers: [], clusterId: null, controller: 1, topics: [of] }
}

t.test('where all tell the same, one is asked', async (t) => {
  const view = { leader: 2, leaderEpoch: 5 }
  const brokers = new Scripted(view, view, view)
  t.same(await brokers.ends(), { offset: 50, leaderEpoch: 5 })
  t.same(brokers.asked, ['Metadata 1', 'ListOffsets 2'])
})

t.test('metadata that is older than what was told before is asked of another one', async (t) => {
  const [now, then] = [
    { leader: 2, leaderEpoch: 6 },
    { leader: 1, leaderEpoch: 5 },
  ]
  const brokers = new Scripted({ ...now }, now, now)
  await brokers.topics([topic])
  Object.assign(brokers.views[0] ?? {}, then)
  brokers.asked.length = 0
  await brokers.topics([topic])
  t.same(await brokers.ends(), { offset: 60, leaderEpoch: 6 })
  t.same(brokers.asked, ['Metadata 1', 'Metadata 2', 'ListOffsets 2'])
})

t.test('if all of them tell of less, that is what there is', async (t) => {
  const view = { leader: 2, leaderEpoch: 6 }
  const brokers = new Scripted(view, view, view)
  await brokers.topics([topic])
  view.leaderEpoch = 1
  await brokers.topics([topic])
  t.same(await brokers.ends(), { offset: 10, leaderEpoch: 1 })
})

t.test('one whom the leader has refuted is not believed again', async (t) => {
  const now = { leader: 2, leaderEpoch: 6 }
  // It has heard of the election before, and stands still since.
  const brokers = new Scripted({ leader: 2, leaderEpoch: 5 }, now, now)
  t.same(await brokers.ends(), { offset: 60, leaderEpoch: 6 })
  brokers.forgetTopic(topic)
  brokers.forgetTopic(topic)
  t.same(await brokers.ends(), { offset: 60, leaderEpoch: 6 })
})

t.test('who is cut off from the others is not asked again and again', async (t) => {
  const now = { leader: 2, leaderEpoch: 6 }
  const brokers = new Scripted({ leader: 3, leaderEpoch: 5 }, now, now)
  t.same(await brokers.ends(), { offset: 60, leaderEpoch: 6 })
})
