// Who is asked, when brokers do not tell the same of who leads.
import t from 'tap'
import { nodes, Scripted, topic } from './scripted.js'

t.test('where all tell the same, one is asked', async (t) => {
  const view = { leader: 2, leaderEpoch: 5 }
  const brokers = new Scripted([view, view, view])
  t.same(await brokers.ends(), { offset: 50, leaderEpoch: 5 })
  t.same(brokers.asked, ['Metadata 1', 'ListOffsets 2'])
})

t.test('metadata that is older than what was told before is asked of another one', async (t) => {
  const [now, then] = [
    { leader: 2, leaderEpoch: 6 },
    { leader: 1, leaderEpoch: 5 },
  ]
  const brokers = new Scripted([{ ...now }, now, now])
  await brokers.topics([topic])
  Object.assign(brokers.views[0] ?? {}, then)
  brokers.asked.length = 0
  await brokers.topics([topic])
  t.same(await brokers.ends(), { offset: 60, leaderEpoch: 6 })
  t.same(brokers.asked, ['Metadata 1', 'Metadata 2', 'ListOffsets 2'])
})

t.test('if all of them tell of less, that is what there is', async (t) => {
  const view = { leader: 2, leaderEpoch: 6 }
  const brokers = new Scripted([view, view, view])
  await brokers.topics([topic])
  view.leaderEpoch = 1
  await brokers.topics([topic])
  t.same(await brokers.ends(), { offset: 10, leaderEpoch: 1 })
})

t.test('one whom the leader has refuted is not believed again', async (t) => {
  const now = { leader: 2, leaderEpoch: 6 }
  // It has heard of the election before, and stands still since.
  const brokers = new Scripted([{ leader: 2, leaderEpoch: 5 }, now, now])
  t.same(await brokers.ends(), { offset: 60, leaderEpoch: 6 })
  for (const _ of nodes) {
    brokers.forgetTopic(topic)
    t.same(await brokers.ends(), { offset: 60, leaderEpoch: 6 })
  }
  t.ok(brokers.count('Metadata', 1) > 1, 'it was asked again')
})

t.test('who is cut off from the others is not asked again and again', async (t) => {
  const now = { leader: 2, leaderEpoch: 6 }
  const brokers = new Scripted([{ leader: 3, leaderEpoch: 5 }, now, now])
  t.same(await brokers.ends(), { offset: 60, leaderEpoch: 6 })
})

t.test('another one is asked, however many topics are to be looked up anew', async (t) => {
  const view = { leader: 2, leaderEpoch: 5 }
  const brokers = new Scripted([view, view, view])
  for (let round = 1; round <= 4; round++) {
    await brokers.topics([topic])
    for (const name of [topic, 'counts', 'clicks']) brokers.forgetTopic(name)
  }
  t.same(brokers.asked, ['Metadata 1', 'Metadata 2', 'Metadata 3', 'Metadata 1'])
})

t.test('who has not heard of what is known is not believed', async (t) => {
  const now = { leader: 2, leaderEpoch: 6 }
  const brokers = new Scripted([{ leader: 1, leaderEpoch: 5 }, now, now])
  await brokers.topics([topic], { topicId: topic, partition: 0, leaderEpoch: 6 })
  t.same(await brokers.ends(), { offset: 60, leaderEpoch: 6 })
  t.same(brokers.asked, ['Metadata 1', 'Metadata 2', 'ListOffsets 2'])
})

t.test(
  'if nobody has heard of it, that is what there is, and it is not waited for again',
  async (t) => {
    const view = { leader: 2, leaderEpoch: 5 }
    for (const topicId of [topic, 'of the topic before']) {
      const brokers = new Scripted([view, view, view])
      await brokers.topics([topic], { topicId, partition: 0, leaderEpoch: 6 })
      t.same(brokers.asked, ['Metadata 1', 'Metadata 2', 'Metadata 3'])
      await brokers.topics([topic])
      t.equal(brokers.count('Metadata'), 4)
      t.same(await brokers.ends(), { offset: 50, leaderEpoch: 5 })
    }
  },
)
