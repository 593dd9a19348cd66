// Other versions of a function are rolled out under load: with the same edges they run side by side, with others they wait for the last one.
import t, { type Test } from 'tap'
import type { FunctionStatus } from '#host/functions/catalog.js'
import { Clicker, Instances } from '../test/support/kafka/instances.js'
import { brokerAddress } from '../test/support/kafka/shared.js'
import { short } from '../test/support/kafka/trial.js'
import { until } from '../test/support/until.js'

const address = await brokerAddress(t)
const keys = 12

/** Adds up what comes from its inputs. */
const adder = (inputs: readonly string[], more = '') => `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { ${inputs.map((input) => `${input}: json<number>()`).join(', ')} },
  table: json<number>(),
  ${more}
  on: {
    ${inputs.map((input) => `${input}: (ctx, n) => ctx.set((ctx.get() ?? 0) + n)`).join(',\n')}
  },
})`
const former = adder(['clicks'])
const newer = adder(['clicks', 'views'])

const file = 'click-count.ts'
const instances = new Instances(t, 'deploy', {
  address,
  partitions: 4,
  function: { name: 'click-count', source: former },
  env: { ...short, MILLRACE_LOG_KAFKA_HEARTBEAT_INTERVAL_MS: '100' },
})
const clicks = `${instances.namespace}clicks`

const shownAt = async (name: string): Promise<FunctionStatus> => {
  const { body } = await instances.host(name).get('/functions/click-count')
  return body as FunctionStatus
}
const untilShown = async (name: string, is: (status: FunctionStatus) => boolean) => {
  let last: FunctionStatus | undefined
  const isShown = async () => {
    last = await shownAt(name)
    return is(last) ? last : undefined
  }
  return await until(`${name} shows it`, isShown, () => JSON.stringify(last))
}
const isRefused = ({ state, error }: FunctionStatus) =>
  state === 'halted' && error?.code === 'EDGES_DIFFER'
const hasAll = ({ state, partitions, error }: FunctionStatus) =>
  state === 'running' && partitions.length === 4 && error === null

/** What is emitted at an instance is read there, whoever has the keys. */
const extra = new Map<string, number>()
async function countsAt(t: Test, name: string, stream: string): Promise<void> {
  const host = instances.host(name)
  const named = Array.from({ length: keys }, (_, n) => `k${n}`)
  const token = await host.emitAll(
    stream,
    named.map((key) => ({ key, value: 1 })),
  )
  for (const key of named) extra.set(key, (extra.get(key) ?? 0) + 1)
  const values = await Promise.all(named.map((key) => host.view('click-count', key, token)))
  const behind = values.filter((value, n) => Number(value) < (extra.get(named[n] ?? '') ?? 0))
  t.same(behind, [], 'each has at least what was emitted so')
}

/** Of an instance that gets nothing. */
async function isBeside(t: Test, name: string, differs: RegExp, others: number): Promise<void> {
  const { error, partitions, lag } = await untilShown(name, isRefused)
  t.match(error?.message, differs)
  t.match(error?.message, new RegExp(`by ([^ ,]+, ){${others}}and gives`))
  t.same([partitions, lag], [[], null])
  t.match(await instances.host(name).get('/readyz'), {
    status: 503,
    body: { error: { message: /click-count \(halted\)/ } },
  })
  await countsAt(t, name, 'clicks')
}

t.test('versions with the same edges have a share each, and are shown', async (t) => {
  instances.host('b').save(file, adder(['clicks'], 'outputs: { seen: json<number>() },'))
  for (const name of ['a', 'b']) await instances.start(name)
  t.same(await instances.shared(), { a: 2, b: 2 })
  const { instances: shown = [], version } = await shownAt('b')
  t.match(shown, [{ refused: false }, { refused: false }])
  t.ok(shown.every(({ state, partitions }) => state === 'running' && partitions.length === 2))
  t.equal(new Set(shown.map((one) => one.version)).size, 2)
  t.ok(shown.some((one) => one.version === version))
  await countsAt(t, 'a', 'clicks')
})

t.test('by a hot reload of one after the other: the last one has all until then', async (t) => {
  const clicker = await Clicker.on(t, address, { topic: clicks, keys })
  instances.host('a').save(file, newer)
  await isBeside(t, 'a', /inputs: \S+clicks, \S+views here; \S+clicks there/, 1)
  const { instances: shown = [] } = await untilShown('b', hasAll)
  t.same(shown.map((one) => `${one.state} ${one.refused} ${one.partitions.length}`).sort(), [
    'halted true 0',
    'running false 4',
  ])
  await clicker.more(10 * keys)
  instances.host('b').save(file, newer)
  t.same(await instances.shared(), { a: 2, b: 2 })
  t.match([(await shownAt('a')).error, (await shownAt('b')).error], [null, null])
  for (const name of ['a', 'b']) await countsAt(t, name, 'views')
  await instances.counted(sum(await clicker.stop()))
})

t.test('by starts and stops of instances: the newest takes over from the last', async (t) => {
  const clicker = await Clicker.on(t, address, { topic: clicks, keys })
  instances.host('c').save(file, former)
  await instances.start('c')
  await isBeside(t, 'c', /inputs: \S+clicks here; \S+clicks, \S+views there/, 2)
  // Whoever leads the group now.
  await instances.stop('a')
  await untilShown('b', hasAll)
  await isBeside(t, 'c', /inputs: /, 1)
  await clicker.more(10 * keys)
  await instances.stop('b')
  await untilShown('c', hasAll)
  t.same(await instances.shared(), { c: 4 })
  await clicker.more(5 * keys)
  await instances.counted(sum(await clicker.stop()))
})

const before = new Map<string, number>()
/** With all that was sent earlier. */
function sum(sent: ReadonlyMap<string, number>): Map<string, number> {
  for (const [key, count] of sent) before.set(key, (before.get(key) ?? 0) + count)
  return new Map([...before].map(([key, count]) => [key, count + (extra.get(key) ?? 0)]))
}
