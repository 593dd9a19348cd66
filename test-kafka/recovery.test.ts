// Each way in which a table and its positions may be found on Kafka, by a whole host.
import type { Admin } from 'kafkajs'
import t, { type Test } from 'tap'
import { makeTopics, quietKafka } from '../test/support/kafka/client.js'
import { brokerAddress, ownName } from '../test/support/kafka/shared.js'
import {
  count,
  damageTable,
  forgetTable,
  halted,
  produceClicks,
  running,
  sumCase,
  sumSource,
  wiped,
} from '../test/support/kafka/sum.js'
import { until } from '../test/support/until.js'

const address = await brokerAddress(t)
const admin: Admin = quietKafka(address).admin()
await admin.connect()
t.teardown(() => admin.disconnect())

const caseOf = (t: Test, name: string) => sumCase(t, name, { MILLRACE_LOG_BROKERS: address })

/** Kafka knows of a group's members for a moment longer than they are. */
const forgetPositions = async (group: string) =>
  await until('the positions are forgotten', () =>
    admin.deleteGroups([group]).then(
      () => true,
      () => false,
    ),
  )

/** All records of the partition up to the end. */
const deleteRecords = async (topic: string, offset = -1) =>
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: String(offset) }] })

const setTopic = async (topic: string, settings: Readonly<Record<string, string>>) => {
  const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }))
  const resources = [{ type: 2, name: topic, configEntries }]
  await admin.alterConfigs({ validateOnly: false, resources })
}

const produce = (t: Test, topic: string, key: string, values: readonly number[]) =>
  produceClicks(t, address, topic, key, values)

t.test('with nothing local: from the oldest record; committed positions go on', async (t) => {
  const { host: hostOf } = caseOf(t, 'nothing')
  const host = hostOf('one')
  await count(host, { a: 1, b: 2 })
  forgetTable(host)
  await running(host)
  t.equal(await host.view('click-count', 'a'), 1)
  t.equal(await host.view('click-count', 'b'), 2)
  t.equal(wiped(host), undefined)
})

t.test('a local table that was away: the rest of the log; committed positions win', async (t) => {
  const { host: hostOf } = caseOf(t, 'within')
  const [host, other] = [hostOf('one'), hostOf('two')]
  await count(host, { a: 1, b: 2 })
  await count(other, { a: 10, b: 0, c: 3 })
  await running(host)
  t.equal(await host.view('click-count', 'a'), 11, 'none is counted again')
  t.equal(await host.view('click-count', 'b'), undefined, 'a deletion is not missed')
  t.equal(await host.view('click-count', 'c'), 3)
  t.equal(wiped(host), undefined, 'its own table was kept')
})

t.test('away for longer than the topic keeps deletions: from the oldest record', async (t) => {
  const { host: hostOf, table } = caseOf(t, 'long-away')
  const [host, other] = [hostOf('one'), hostOf('two')]
  await count(host, { a: 1, b: 2 })
  await count(other, { a: 10, b: 0 })
  await setTopic(table, { 'cleanup.policy': 'compact', 'delete.retention.ms': '1' })
  await running(host)
  t.match(wiped(host), /it was away for \d+ h, and deletions may be gone/)
  t.equal(await host.view('click-count', 'a'), 11)
  t.equal(await host.view('click-count', 'b'), undefined)
})

t.test('below the oldest record: from that one', async (t) => {
  const { host: hostOf, table } = caseOf(t, 'below')
  const [host, other] = [hostOf('one'), hostOf('two')]
  await count(host, { a: 1 })
  await count(other, { b: 2 })
  // Kafka deletes no records of a compacted topic before they are compacted.
  await setTopic(table, { 'cleanup.policy': 'delete' })
  await deleteRecords(table)
  await setTopic(table, { 'cleanup.policy': 'compact' })
  await running(host)
  t.match(wiped(host), /no longer has what follows/)
  const token = await host.emit('clicks', 'b', 5)
  t.equal(await host.view('click-count', 'b', token), 5, 'as the log has it')
  t.equal(await host.view('click-count', 'a'), undefined)
})

t.test('a store that is damaged: set aside, and made anew from the log', async (t) => {
  const { host: hostOf } = caseOf(t, 'damaged')
  const host = hostOf('one')
  await count(host, { a: 1, b: 2 })
  damageTable(host)
  await running(host)
  t.match(host.lines.join(), /was damaged: it was set aside/)
  t.equal(await host.view('click-count', 'a'), 1)
  t.equal(await host.view('click-count', 'b'), 2)
  const token = await host.emit('clicks', 'a', 10)
  t.equal(await host.view('click-count', 'a', token), 11, 'none is counted again')
})

t.test('the changelog made anew under a host that was stopped: as that is', async (t) => {
  const { host: hostOf, table } = caseOf(t, 'anew')
  const host = hostOf('one')
  await count(host, { a: 1 })
  await admin.deleteTopics({ topics: [table] })
  await running(host)
  t.match(wiped(host), /click-count-table is another topic than before/)
  const token = await host.emit('clicks', 'a', 5)
  t.equal(await host.view('click-count', 'a', token), 5)
})

t.test('positions that have expired: from the table', async (t) => {
  const { host: hostOf, group } = caseOf(t, 'expired')
  const host = hostOf('one')
  await count(host, { a: 1 })
  await forgetPositions(group)
  await running(host)
  const token = await host.emit('clicks', 'a', 10)
  t.equal(await host.view('click-count', 'a', token), 11, 'none is counted again, none is left out')
})

t.test('positions that have expired, and nothing local: from the changelog', async (t) => {
  const { host: hostOf, group } = caseOf(t, 'header')
  const host = hostOf('one')
  await count(host, { a: 1 })
  await forgetPositions(group)
  forgetTable(host)
  await running(host)
  const token = await host.emit('clicks', 'a', 10)
  t.equal(await host.view('click-count', 'a', token), 11)
})

t.test(
  'no positions at all, and a table that is not empty: it halts, with the choices',
  async (t) => {
    const { host: hostOf, group, table, clicks } = caseOf(t, 'none')
    await makeTopics(t, address, { [clicks]: 1, [table]: 1 })
    await setTopic(table, { 'cleanup.policy': 'compact' })
    await produce(t, table, 'a', [7])
    await produce(t, clicks, 'a', [1, 10])
    const host = hostOf('one')
    await host.start()
    const error = await halted(host)
    t.match(error, { code: 'POSITIONS_LOST', message: /`millrace reset click-count`/ })
    t.match(error, { message: new RegExp(`positions of the group ${group}`) })
    const shown = await host.get('/views/click-count/a')
    t.equal(shown.status, 503, 'what it has is not said to be right')

    // The other choice: a person knows where to go on.
    await host.stop()
    await until('the group is empty', () =>
      admin
        .setOffsets({ groupId: group, topic: clicks, partitions: [{ partition: 0, offset: '1' }] })
        .then(
          () => true,
          () => false,
        ),
    )
    await running(host)
    await until('it goes on there', async () => (await host.view('click-count', 'a')) === 17)
  },
)

t.test('input records that retention took: it halts, or goes on if it may', async (t) => {
  const { host: hostOf, clicks } = caseOf(t, 'retention')
  const host = hostOf('one')
  await count(host, { a: 1 })
  await produce(t, clicks, 'a', [10, 100, 1000])
  const [{ high = '0' } = {}] = await admin.fetchTopicOffsets(clicks)
  await deleteRecords(clicks, Number(high) - 1)
  await host.start()
  t.match(await halted(host), {
    code: 'INPUT_LOST',
    message: /records are gone; reset the function/,
  })
  host.save('click-count.ts', sumSource(`onDataLoss: 'continue',`))
  await host.untilStatus('click-count', 'running')
  await until('it goes on', async () => (await host.view('click-count', 'a')) === 1001)
})

for (const isLocal of [true, false]) {
  const what = isLocal ? 'an input made anew' : 'an input made anew, and nothing local'
  t.test(`${what}: it halts, or goes on if it may`, async (t) => {
    const { host: hostOf, clicks } = caseOf(t, 'input')
    const host = hostOf('one')
    await count(host, { a: 1 })
    await admin.deleteTopics({ topics: [clicks] })
    await makeTopics(t, address, { [clicks]: 1 })
    await produce(t, clicks, 'a', [10, 100, 1000, 10_000])
    if (!isLocal) forgetTable(host)
    await host.start()
    t.match(await halted(host), { code: 'INPUT_LOST', message: /was deleted and made anew/ })
    host.save('click-count.ts', sumSource(`onDataLoss: 'continue',`))
    await host.untilStatus('click-count', 'running')
    await until('all of it counts', async () => (await host.view('click-count', 'a')) === 11_111)
  })
}

/** Leaves a transaction open in the topic, as one that is killed does. */
async function leaveOpen(topic: string, transactionalId: string) {
  const options = { transactionalId, transactionTimeout: 300_000, maxInFlightRequests: 1 }
  const producer = quietKafka(address).producer({ ...options, idempotent: true })
  await producer.connect()
  const transaction = await producer.transaction()
  await transaction.send({ topic, messages: [{ key: 'a', value: '99', partition: 0 }] })
  await producer.disconnect()
  /** Whoever begins under the same id ends it. */
  return async () => {
    const next = quietKafka(address).producer({ ...options, idempotent: true })
    await next.connect()
    await (await next.transaction()).abort()
    await next.disconnect()
  }
}

t.test('a transaction that a killed host has left open does not hold the table up', async (t) => {
  const { host: hostOf, group, table } = caseOf(t, 'own')
  const host = hostOf('one')
  await count(host, { a: 1 })
  await leaveOpen(table, `${group}-0`)
  forgetTable(host)
  await running(host)
  const token = await host.emit('clicks', 'a', 10)
  t.equal(await host.view('click-count', 'a', token), 11)
})

t.test("what lies behind another producer's open transaction is waited for", async (t) => {
  const { host: hostOf, table } = caseOf(t, 'open')
  const host = hostOf('one')
  await count(host, { a: 1 })
  const end = await leaveOpen(table, ownName('left'))
  await host.start()
  await host.untilStatus('click-count', 'recovering')
  await until('it says why', () => host.lines.some((line) => line.includes('transaction open in')))
  t.match(await host.get('/views/click-count/a'), { status: 503 })
  await end()
  await host.untilStatus('click-count', 'running')
  t.equal(await host.view('click-count', 'a'), 1)

  // Committed while another one is open, and read by who comes after.
  const endNext = await leaveOpen(table, ownName('left'))
  const token = await host.emit('clicks', 'a', 10)
  t.equal(await host.view('click-count', 'a', token), 11)
  await host.stop()
  forgetTable(host)
  await host.start()
  await host.untilStatus('click-count', 'recovering')
  await endNext()
  await host.untilStatus('click-count', 'running')
  t.equal(await host.view('click-count', 'a'), 11, 'nothing of it is left out')
  t.equal(wiped(host), undefined)
})
