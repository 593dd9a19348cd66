// Copies of tables at other instances: a standby takes over what a killed host had, an instance recovers ahead, and each serves all of a table.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type HostProcess, startHostProcess } from '#bench/host-process.js'
import { testFolder } from '../test/support/folder.js'
import { HostUnderTest } from '../test/support/host.js'
import { freePort } from '../test/support/kafka/ports.js'
import { proxyTo } from '../test/support/kafka/proxy.js'
import { ownBroker, ownName } from '../test/support/kafka/shared.js'
import { short } from '../test/support/kafka/trial.js'
import { until } from '../test/support/until.js'

const way = await proxyTo(t, () => broker.listener('WAY'))
const port = await freePort()
const broker = await ownBroker(t, {
  port,
  listeners: { WAY: 'PLAINTEXT' },
  properties: { 'advertised.listeners': `PLAINTEXT://127.0.0.1:${port},WAY://${way.address}` },
})

const partitions = 4
const all = Array.from({ length: partitions }, (_, partition) => partition)
const keys = Array.from({ length: 40 }, (_, n) => `k${n}`)
const sessionMs = Number(short.MILLRACE_LOG_KAFKA_SESSION_TIMEOUT_MS)

const functions = {
  'totals.ts': `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { clicks: json<number>() },
  table: json<number>(),
  standby: 1,
  on: { clicks: (ctx, n) => ctx.set((ctx.get() ?? 0) + n) },
})`,
  'names.ts': `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { signups: json<string>() },
  table: json<string>(),
  on: { signups: (ctx, name) => ctx.set(name) },
})`,
  'orders.ts': `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { orders: json<number>() },
  table: json<string>(),
  joins: { names: json<string>() },
  recoverAhead: true,
  views: 'replicate',
  on: { orders: (ctx, n) => ctx.set(\`\${ctx.join('names') ?? '-'} \${n}\`) },
})`,
}
const root = testFolder(t)
const env = {
  ...short,
  // However short a changelog is, its table is copied before its partition is taken; and asked for at once.
  MILLRACE_LOG_KAFKA_ACCEPTABLE_LAG: '0',
  MILLRACE_LOG_KAFKA_PROBING_INTERVAL_MS: '300',
  MILLRACE_LOG_PARTITIONS: String(partitions),
  MILLRACE_NAMESPACE: `${ownName('standby')}-`,
}
const hostOf = (name: string, by: string) => {
  const host = new HostUnderTest(join(root, name), {
    functions,
    env: { ...env, MILLRACE_LOG_BROKERS: by, MILLRACE_LOG_KAFKA_CLIENT_ID: name },
    watch: false,
  })
  t.teardown(() => host.stop())
  return host
}
const survivor = hostOf('survivor', broker.address)

type Shown = NonNullable<Awaited<ReturnType<HostUnderTest['status']>>>
const shownBy = async (url: string, name: string): Promise<Shown> =>
  (await (await fetch(`${url}/functions/${name}`)).json()) as Shown
const inState = (shown: Shown, state: string) =>
  shown.partitions.filter((one) => one.state === state).map(({ partition }) => partition)
/** Those whose tables it has, at their ends. */
const warmIn = (shown: Shown) =>
  shown.partitions
    .filter(
      ({ state, recovery }) =>
        state === 'running' ||
        (state === 'standby' && (recovery?.position ?? -1) === recovery?.end),
    )
    .map(({ partition }) => partition)

/** What it got each time that the function's partitions were shared out, after the first. */
const sharings = (host: HostUnderTest, name: string) =>
  host.lines
    .filter((line) => line.includes('its partitions were shared out anew'))
    .map((line): { function: string; partitions: number[] } => JSON.parse(line))
    .flatMap((told) => (told.function === name ? [told.partitions] : []))

/** What each key has, and whether any of them was marked as old. */
async function read(host: HostUnderTest, table: string) {
  const answers = await Promise.all(
    keys.map((key) => fetch(`${host.host.url}/views/${table}/${key}`)),
  )
  const isStale = answers.some(({ headers }) => headers.get('millrace-stale') === 'true')
  const statuses = answers.map(({ status }) => status)
  const texts = await Promise.all(answers.map((answer) => answer.text()))
  return { isStale, isServed: statuses.every((status) => status === 200), texts }
}
const untilRead = async (host: HostUnderTest, table: string, value: unknown, isStale = false) => {
  const expected = JSON.stringify(value)
  let last: unknown
  await until(
    `${table} is ${expected}${isStale ? ', marked' : ''}`,
    async () => {
      const found = await read(host, table)
      last = found
      return found.isStale === isStale && found.texts.every((text) => text === expected)
    },
    () => JSON.stringify(last),
  )
}
const emit = async (stream: string, value: unknown) =>
  await survivor.emitAll(
    stream,
    keys.map((key) => ({ key, value })),
  )

t.test('a hot standby holds all partitions, and takes over what a killed host had', async (t) => {
  await survivor.start()
  await survivor.untilStatus('totals', 'running')
  await emit('clicks', 1)
  await untilRead(survivor, 'totals', 1)
  const doomed = hostOf('doomed', broker.address)
  mkdirSync(join(doomed.root, 'data'))
  const killed: HostProcess = await startHostProcess({
    root: doomed.root,
    data: join(doomed.root, 'data'),
    env: { ...env, MILLRACE_LOG_BROKERS: broker.address, MILLRACE_LOG_KAFKA_CLIENT_ID: 'doomed' },
  })
  t.teardown(() => killed.kill())
  await emit('clicks', 2)
  let shares: readonly Shown[] = []
  const haveAll = async () => {
    shares = [await shownBy(survivor.host.url, 'totals'), await shownBy(killed.url, 'totals')]
    return shares.every(
      (one) =>
        inState(one, 'running').length === partitions / 2 &&
        inState(one, 'standby').length === partitions / 2 &&
        warmIn(one).length === partitions,
    )
  }
  await until('both have all partitions, half of them as standbys', haveAll, () =>
    JSON.stringify(shares),
  )
  const got = sharings(survivor, 'totals')
  t.same(got[0], all, 'one that comes gets nothing before it has copied the tables')
  t.equal(got.at(-1)?.length, partitions / 2, 'and then asks for its share')
  const shown = await shownBy(survivor.host.url, 'totals')
  t.equal(shown.state, 'running')
  t.same([...inState(shown, 'running'), ...inState(shown, 'standby')].sort(), all)
  const before = survivor.lines.length
  await killed.kill()
  const killedAt = performance.now()
  await untilRead(survivor, 'totals', 3)
  t.comment(
    `served ${Math.round(performance.now() - killedAt)} ms after the kill, with a session of ${sessionMs} ms`,
  )
  t.same(inState(await shownBy(survivor.host.url, 'totals'), 'running'), all)
  const after = survivor.lines.slice(before)
  t.same(
    after.filter((line) => /rebuilt|made anew/.test(line)),
    [],
    'from its copies, without a replay',
  )
  await emit('clicks', 4)
  await untilRead(survivor, 'totals', 7)
})

const late = hostOf('late', way.address)

t.test('recover-ahead recovers table and join before it takes a partition', async (t) => {
  await emit('signups', 'Ann')
  await untilRead(survivor, 'names', 'Ann')
  await until('the join is copied', async () => {
    await emit('orders', 1)
    const { texts } = await read(survivor, 'orders')
    return texts.every((text) => text === '"Ann 1"')
  })
  const held = way.lose('Fetch', 'hold', 100_000)
  await late.start()
  await held.happened
  await late.untilStatus('orders', ({ partitions: found }) => found.length === partitions)
  const shown = await shownBy(late.host.url, 'orders')
  t.equal(shown.state, 'recovering')
  t.same(inState(shown, 'standby'), all)
  t.same(inState(await shownBy(survivor.host.url, 'orders'), 'running'), all, 'others have them')
  way.heal()
  held.release()
  await late.untilStatus('orders', (found) => inState(found, 'running').length === partitions / 2)
  await late.untilStatus('orders', (found) => warmIn(found).length === partitions)
  await untilRead(late, 'orders', 'Ann 1')
})

t.test('a view serves values while cut off, marked as old, then catches up', async () => {
  way.close('cut')
  await untilRead(late, 'orders', 'Ann 1', true)
  await until('the other has all of them', async () => {
    return inState(await shownBy(survivor.host.url, 'orders'), 'running').length === partitions
  })
  await emit('orders', 2)
  await untilRead(survivor, 'orders', 'Ann 2')
  await untilRead(late, 'orders', 'Ann 1', true)
  way.heal()
  await untilRead(late, 'orders', 'Ann 2')
})
