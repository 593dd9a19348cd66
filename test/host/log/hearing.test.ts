// Answers of a log that has not heard of all yet, and takes long: what is given up for them is lost for good.
import t from 'tap'
import { whereCut } from '#host/log/cut.js'
import { heardOf } from '#host/log/heard-of.js'
import type { Log, TopicInfo } from '#host/log/log.js'

const infoOf = (leaderEpoch: number, end: number): TopicInfo => ({
  name: 'clicks',
  id: 'clicks',
  kind: 'stream',
  partitions: [{ partition: 0, oldest: 0, stableEnd: end, end, leaderEpoch }],
})

t.test('a topic is not missing for an answer that took long', async (t) => {
  let now = 0
  let asked = 0
  const describe = async () => {
    asked += 1
    if (asked > 1) return new Map([['clicks', infoOf(0, 0)]])
    now += 60_000
    return new Map<string, TopicInfo>()
  }
  const rest = async (ms: number) => {
    now += ms
  }
  const found = await heardOf(['clicks'], describe, { now: () => now, rest })
  t.same([...found.keys()], ['clicks'])
})

t.test('one that nobody knows is asked for once more when its time is over', async (t) => {
  let now = 0
  const askedAt: number[] = []
  const describe = async () => {
    askedAt.push(now)
    return new Map<string, TopicInfo>()
  }
  const rest = async (ms: number) => {
    now += ms
  }
  t.equal((await heardOf(['clicks'], describe, { now: () => now, rest })).size, 0)
  t.same(
    askedAt.filter((at) => at >= 10_000),
    [now],
  )
})

t.test('nor is a log cut off for what came before this process stood still', async (t) => {
  const { now } = performance
  t.teardown(() => {
    performance.now = now
  })
  const [stale, later] = [infoOf(5, 90), infoOf(6, 200)]
  let asked = 0
  const log: Partial<Log> = {
    async describe() {
      asked += 1
      if (asked > 1) return new Map([['clicks', later]])
      performance.now = () => now.call(performance) + 60_000
      return new Map([['clicks', stale]])
    },
    endOfEpoch: async (_, leaderEpoch) => ({ leaderEpoch, end: 200 }),
  }
  const [described] = stale.partitions
  if (described === undefined) throw new Error('it has a partition')
  const position = { topic: 'clicks', partition: 0, offset: 120, leaderEpoch: 6 }
  const { signal } = new AbortController()
  const looked = await whereCut(log as Log, position, stale, described, signal)
  t.match(looked, { now: { leaderEpoch: 6 }, cut: undefined })
})
