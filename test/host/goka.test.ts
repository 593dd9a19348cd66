// A Goka group is taken over as it is: its table, loop and positions, on the embedded log; and what its names are in a namespace.
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openEmbeddedLog } from '#host/log/embedded/log.js'
import type { Log, LogRecord } from '#host/log/log.js'
import { testFolder } from '../support/folder.js'
import {
  clickAll,
  counterSource,
  expectedTotals,
  handledAll,
  layoutOf,
  looped,
  partitions,
  placed,
  totalOf,
  totalsIn,
} from '../support/goka.js'
import { HostUnderTest, testHost } from '../support/host.js'
import { until } from '../support/until.js'

const names = { group: 'Clicks.Group_1', clicks: 'user-clicks', totals: 'click-totals' }
const env = { MILLRACE_LOG_PARTITIONS: String(partitions), MILLRACE_NAMESPACE: 'shop.' }

/** While no host runs on it. */
async function withLog<T>(t: Test, root: string, work: (log: Log) => Promise<T>): Promise<T> {
  await using log = await openEmbeddedLog({
    path: join(root, '.millrace/log'),
    onFailure: (error) => t.fail(error.message),
  })
  return await work(log)
}

async function layOut(log: Log): Promise<void> {
  const { topics, records, positions } = layoutOf(names)
  await log.ensure(topics)
  await log.append(records, { atomic: true })
  for (let partition = 0; partition < partitions; partition++) {
    const own = positions.filter((position) => position.partition === partition)
    await using writer = await log.openWriter(names.group, partition)
    t.match(await writer.commit({ records: [], positions: own }), { kind: 'committed' })
  }
}

/** The last value of each key, with the partition in which it lies. */
async function lastOf(log: Log, topic: string): Promise<Record<string, [number, string]>> {
  const found: Record<string, [number, string]> = {}
  const info = (await log.describe([topic])).get(topic)
  await using reader = log.reader()
  for (const { partition, oldest, stableEnd } of info?.partitions ?? []) {
    reader.assign([{ topic, partition, offset: oldest }])
    for (let next = oldest; next < stableEnd; ) {
      for (const batch of await reader.next()) {
        for (const record of batch.records) found[textOf(record)] = [partition, record.valueText()]
        next = batch.next
      }
    }
  }
  return found
}

const textOf = (record: LogRecord) => record.keyText()

async function takenOver(t: Test, isNamed: boolean) {
  const host = new HostUnderTest(testFolder(t), {
    functions: { 'click-count.ts': counterSource(names, isNamed) },
    env,
  })
  t.teardown(() => host.stop())
  await withLog(t, host.root, layOut)
  await host.start()
  await handledAll(host, 'click-count')
  return host
}

for (const isNamed of [true, false]) {
  const how = isNamed ? 'table and loop named' : 'table and loop by the group’s name'
  t.test(`goes on where the group was, ${how}`, async (t) => {
    const host = await takenOver(t, isNamed)
    t.same(await totalsIn(host, 'click-count'), expectedTotals(), 'counted on, exactly')
    t.equal((await host.status('click-count'))?.records, 7 * 3 + 1, 'nothing was handled again')
  })
}

t.test(
  'places what it emits, loops back and is sent as Goka does, and reads it back',
  async (t) => {
    const host = await takenOver(t, true)
    t.same(await clickAll(host), placed, 'emits over HTTP')
    await host.emitAll('clicks', [{ key: 'key1', value: 'key2' }])
    const one = { key2: 101n, 'some-key': 1n, 'user-3': 1n, '0': 1n, '02': 1n }
    const expected = expectedTotals({ key1: 2n, ...one, 'key-4393643603': 1n })
    await looped(host, 'click-count', 'key2', expected.key2)
    await handledAll(host, 'click-count')
    t.same(await totalsIn(host, 'click-count'), expected)
    const query = '/views/click-count?prefix=key'
    t.match(await host.get(query), { status: 200, body: { entries: { length: 3 } } })
    const response = await fetch(`${host.host.url}/views/click-count`, {
      method: 'POST',
      body: '{"keys":["02","key-4393643603"]}',
    })
    t.equal(await response.text(), '{"02":9,"key-4393643603":9}')
    t.match(await host.get('/topology'), {
      status: 200,
      body: {
        functions: [{ name: 'click-count', group: names.group }],
        streams: [
          { name: 'clicks', topic: names.clicks, hasher: 'fnv1a' },
          { name: 'totals', topic: names.totals, hasher: 'fnv1a' },
        ],
        tables: [{ name: 'click-count', topic: `${names.group}-table`, hasher: 'fnv1a' }],
      },
    })
    await host.stop()
    await withLog(t, host.root, async (log) => {
      const table = await lastOf(log, `${names.group}-table`)
      const inLog = Object.entries(expected).map(([key, total]) => [key, String(total)])
      t.same(
        Object.entries(table)
          .map(([key, [, value]]) => [key, value])
          .sort(),
        inLog.sort(),
        'decimal text, as Goka writes it',
      )
      const partitionsOf = (last: typeof table) =>
        Object.fromEntries(Object.entries(last).map(([key, [partition]]) => [key, partition]))
      t.same(partitionsOf(table), placed)
      t.same(partitionsOf(await lastOf(log, names.totals)), placed, 'outputs')
      t.same(await lastOf(log, `${names.group}-loop`), { key1: [3, '10'], key2: [2, '100'] })
      t.same(await log.committed('shop.click-count'), [], 'nothing under the name it would have')
    })
  },
)

t.test('a namespace is put before what is not named; taken back, the group goes on', async (t) => {
  const host = await takenOver(t, true)
  const inGroup = (group: string) =>
    until(`click-count runs as ${group}`, () =>
      host.host.catalog
        .topology()
        .functions.some((each) => each.group === group && each.state === 'running'),
    )
  const plain = `
import { defineProcessor, string } from 'millrace'
export default defineProcessor({
  inputs: { names: string },
  table: string,
  on: { names: (ctx, name) => ctx.set(name) },
})`
  host.save('names.ts', plain)
  await host.untilStatus('names', 'running')
  host.save('click-count.ts', plain.replace('inputs: {', 'revision: 1, inputs: {'))
  await inGroup('shop.click-count.1')
  await host.emitAll('names', [{ key: 'ada', value: 'Ada' }])
  await handledAll(host, 'names')
  t.match(await host.get('/topology'), {
    body: {
      functions: [{ group: 'shop.click-count.1' }, { group: 'shop.names' }],
      streams: [{ name: 'names', topic: 'shop.names', hasher: 'murmur2' }],
      tables: [{ topic: 'shop.click-count.1-table' }, { topic: 'shop.names-table' }],
    },
  })
  t.equal((await host.get('/views/click-count/key1')).status, 404, 'another group, another table')
  host.save('click-count.ts', counterSource(names))
  await inGroup(names.group)
  await handledAll(host, 'click-count')
  t.same(await totalsIn(host, 'click-count'), expectedTotals())
  t.equal(totalOf('key1'), 38n)
})

const counter = (fields: string) => `
import { defineProcessor, int64, string } from 'millrace'
export default defineProcessor({
  inputs: { clicks: string },
  table: int64,
  on: { clicks: (ctx) => ctx.set((ctx.get() ?? 0n) + 1n) },
  ${fields}
})`

t.test('a save with another table’s topic keeps the positions, and takes that table', async (t) => {
  const host = await testHost(t, { functions: { 'count.ts': counter('') } })
  const inTopic = (topic: string) =>
    until(`its table lies in ${topic}`, () => {
      const { functions, tables } = host.host.catalog.topology()
      return tables[0]?.topic === topic && functions[0]?.state === 'running'
    })
  const click = () => host.emitAll('clicks', [{ key: 'ada', value: 'click' }])
  t.equal(await host.view('count', 'ada', await click()), 1)
  host.save('count.ts', counter(`tableTopic: 'others',`))
  await inTopic('others')
  t.equal(await host.view('count', 'ada', await click()), 1, 'that of the other topic')
  host.save('count.ts', counter(''))
  await inTopic('count-table')
  t.equal(await host.view('count', 'ada'), 1, 'as it was, and nothing of the other')
  t.equal(await host.view('count', 'ada', await click()), 2)
  t.equal((await host.status('count'))?.records, 3, 'no record was handled twice')
})

t.test('a save with another hasher takes over between two records', async (t) => {
  const host = await testHost(t, {
    functions: { 'count.ts': counter('') },
    env: { MILLRACE_LOG_PARTITIONS: String(partitions) },
  })
  const { version } = await host.untilStatus('count', 'running')
  host.save('count.ts', counter(`hasher: 'fnv1a',`))
  await host.untilStatus('count', (now) => now.version !== version && now.state === 'running')
  t.same(await clickAll(host), placed)
  await handledAll(host, 'count')
  t.equal(await host.view('count', 'key1'), 1)
})
