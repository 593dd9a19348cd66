// What is asked of whom when topics are described: the leader of a partition only for its ends.
import t from 'tap'
import { HostError } from '#host/errors.js'
import type { Brokers } from '#host/log/kafka/brokers.js'
import { kafkaErrors } from '#host/log/kafka/error-codes.js'
import type { KafkaSettings } from '#host/log/kafka/settings.js'
import { KafkaTopics } from '#host/log/kafka/topics.js'
import { kafkaWriteSettings } from '#host/log/kafka/write-settings.js'
import type { TopicPartition } from '#host/log/log.js'

const topic = 'sums'
const ends = 10

/** Partition 1 has no leader. */
const brokers = {
  patiently: (work: () => Promise<unknown>) => work(),
  async topics() {
    const partitions = [0, 1, 2].map((partition) => ({ partition, leaderEpoch: 4 }))
    return new Map([[topic, { name: topic, id: 'id', error: kafkaErrors.NONE, partitions }]])
  },
  async askAny() {
    return { topics: [{ topic, error: 0, values: new Map([['cleanup.policy', 'compact']]) }] }
  },
  async askLeaders(asked: readonly TopicPartition[]) {
    if (asked.some(({ partition }) => partition === 1)) {
      throw new HostError('BROKER_UNAVAILABLE', `${topic}/1 has no leader for the moment`)
    }
    return asked.map((one) => ({ ...one, error: 0, offset: ends, leaderEpoch: 4 }))
  },
} as unknown as Brokers

const topics = new KafkaTopics(brokers, {} as KafkaSettings)
const shown = async (endsOf?: readonly number[]) => {
  const found = (await topics.describe([topic], endsOf && { endsOf })).get(topic)
  return { kind: found?.kind, ends: found?.partitions.map(({ end }) => end) }
}

t.test('a broker that never answers keeps nobody waiting for longer than is set', async (t) => {
  const { signal } = new AbortController()
  const silent = { signal, topics: () => new Promise(() => {}) } as unknown as Brokers
  const write = kafkaWriteSettings({ deadlineMs: 5 })
  const asked = new KafkaTopics(silent, { write } as KafkaSettings)
  // Who asks a moment later is given the same answer.
  const late = { code: 'BROKER_UNAVAILABLE', message: /not answered in time/ }
  for (const id of [asked.id(topic), asked.id(topic)]) await t.rejects(id, late)
})

t.test(
  'a partition without a leader keeps only who asks for its ends from an answer',
  async (t) => {
    await t.rejects(shown(), { code: 'BROKER_UNAVAILABLE' })
    await t.rejects(shown([0, 1]), { code: 'BROKER_UNAVAILABLE' })
    t.same(await shown([2]), { kind: 'table', ends: [0, 0, ends] })
    t.same(await shown([]), { kind: 'table', ends: [0, 0, 0] }, 'how many there are is known')
  },
)
