// A whole host on Kafka: the same functions, kept by its brokers and shared between hosts.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Command } from '../test/support/command.js'
import { testFolder } from '../test/support/folder.js'
import { HostUnderTest } from '../test/support/host.js'
import { makeTopics, quietKafka } from '../test/support/kafka/client.js'
import { clickCount } from '../test/support/kafka/load.js'
import { brokerAddress, ownName } from '../test/support/kafka/shared.js'
import { runTool } from '../test/support/kafka/tool.js'
import { until } from '../test/support/until.js'

const address = await brokerAddress(t)

const functions = {
  'click-count.ts': clickCount({
    click: '{ page: string }',
    page: 'number',
    emitted: 'click.page, 1',
  }),
  'page-count.ts': `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { pages: json<number>() },
  table: json<number>(),
  on: {
    pages(ctx, one) {
      ctx.set((ctx.get() ?? 0) + one)
    },
  },
})`,
}

interface Setting {
  readonly namespace: string
  readonly env?: Readonly<Record<string, string>>
  readonly functions?: Readonly<Record<string, string>>
}

/** Each on a data folder of its own. */
function hostsOf(t: Test) {
  const root = testFolder(t)
  return (name: string, setting: Setting) => hostOf(t, root, name, setting)
}

function hostOf(
  t: Test,
  root: string,
  name: string,
  { namespace, env = {}, functions: own = functions }: Setting,
) {
  const host = new HostUnderTest(join(root, name), {
    functions: own,
    env: {
      MILLRACE_LOG_BROKERS: address,
      MILLRACE_NAMESPACE: namespace,
      MILLRACE_LOG_KAFKA_CLIENT_ID: namespace,
      MILLRACE_LOG_PARTITIONS: '3',
      ...env,
    },
  })
  t.teardown(() => host.stop())
  return host
}

const namespaceOf = (name: string) => `${ownName(name)}-`
const keys = Array.from({ length: 12 }, (_, n) => `k${n}`)
const clicksOf = (rounds: number) =>
  Array.from({ length: rounds }, () =>
    keys.map((key, n) => ({ key, value: { page: `p${n % 2}` } })),
  ).flat()

const looped = (host: HostUnderTest, count: number) =>
  until(`the loop is through`, async () => {
    const found = await Promise.all(keys.map((key) => host.view('click-count', key)))
    return found.every((value) => Object(value).looped === count)
  })

t.test('emits, tables, outputs and loops, over restarts and lost tables', async (t) => {
  const namespace = namespaceOf('round')
  const hostOf = hostsOf(t)
  const host = hostOf('one', { namespace })
  await host.start()
  await host.untilStatus('page-count', 'running')
  const token = await host.emitAll('clicks', clicksOf(3))
  t.match(await host.view('click-count', 'k1', token), { count: 3 })
  t.equal(await host.view('page-count', 'p0', token), 18, 'over the hop')
  await looped(host, 3)

  const one = await host.emit('clicks', 'k1', { page: 'p0' })
  t.match(await host.view('click-count', 'k1', one), { count: 4 })
  const { body } = await host.get('/functions/click-count')
  t.match(body, { state: 'running', partitions: { length: 3 }, error: null })
  t.match(await host.get('/readyz'), { status: 200 })

  const shown = await runTool(address, 'kafka-consumer-groups', [
    '--describe',
    '--group',
    `${namespace}click-count`,
  ])
  t.match(
    shown,
    new RegExp(`${namespace}clicks +\\d +\\d+ +\\d+ +0 `),
    'Kafka’s tool knows the lag',
  )
  const topic = await runTool(address, 'kafka-configs', [
    '--describe',
    '--entity-type',
    'topics',
    '--entity-name',
    `${namespace}click-count-table`,
  ])
  t.match(topic, /cleanup\.policy=compact .*delete\.retention\.ms=86400000 /s)

  host.save('click-count.ts', functions['click-count.ts'].replace('count + 1', 'count + 10'))
  await host.untilStatus('click-count', ({ swaps }) => swaps === 1)
  const swapped = await host.emit('clicks', 'k1', { page: 'p0' })
  t.match(await host.view('click-count', 'k1', swapped), { count: 14 }, 'a swap keeps the table')

  await host.stop()
  await host.start()
  await host.untilStatus('click-count', 'running')
  t.match(await host.view('click-count', 'k1'), { count: 14 }, 'so does a restart')
  t.notOk(
    host.lines.some((line) => line.includes('rebuilt from the log')),
    'from the local store',
  )
  await host.stop()
  rmSync(join(host.root, '.millrace'), { recursive: true })
  await host.start()
  await host.untilStatus('page-count', 'running')
  await host.untilStatus('click-count', 'running')
  t.match(await host.view('click-count', 'k1'), { count: 14 }, 'a table that is lost is rebuilt')
  const last = await host.emit('clicks', 'k1', { page: 'p0' })
  t.equal(await host.view('page-count', 'p0', last), 21)
})

t.test('hosts share the partitions, and take over what another leaves', async (t) => {
  const namespace = namespaceOf('shared')
  const hostOf = hostsOf(t)
  const [one, two] = [hostOf('one', { namespace }), hostOf('two', { namespace })]
  await one.start()
  await one.untilStatus('click-count', ({ partitions }) => partitions.length === 3)
  await two.start()
  const owned = async (host: HostUnderTest) =>
    (await host.status('click-count'))?.partitions.filter(({ state }) => state === 'running') ?? []
  await until('they share', async () => {
    const [ofOne, ofTwo] = [await owned(one), await owned(two)]
    return ofOne.length > 0 && ofTwo.length > 0 && ofOne.length + ofTwo.length === 3
  })
  await one.emitAll('clicks', clicksOf(2))
  await two.emitAll('clicks', clicksOf(3))
  const listed = await runTool(address, 'kafka-transactions', ['list'])
  const own = [...listed.matchAll(new RegExp(`^${namespace}-append-(\\w+)-\\d+`, 'gm'))]
  t.equal(new Set(own.map(([, host]) => host)).size, 2, 'each emits under ids of its own')
  const total = async (hosts: readonly HostUnderTest[]) => {
    const pages = await Promise.all(
      hosts.map((host) => host.get('/views/click-count?limit=1000&stale=ok')),
    )
    return pages
      .flatMap(({ body }) => Object(body).entries ?? [])
      .reduce((sum: number, { value }) => sum + value.count, 0)
  }
  await one.stop()
  await until('the other has all of them', async () => (await owned(two)).length === 3)
  const token = await two.emitAll('clicks', clicksOf(1))
  for (const key of keys) {
    t.match(await two.view('click-count', key, token), { count: 6 }, `${key} counts once`)
  }
  t.equal(await total([two]), 6 * keys.length)
  await one.start()
  await until('they share again', async () => {
    const [ofOne, ofTwo] = [await owned(one), await owned(two)]
    return ofOne.length > 0 && ofTwo.length > 0 && ofOne.length + ofTwo.length === 3
  })
})

t.test('what waits behind somebody’s open transaction is shown as lag', async (t) => {
  const namespace = namespaceOf('open')
  const hostOf = hostsOf(t)
  const host = hostOf('one', { namespace, env: { MILLRACE_LOG_PARTITIONS: '1' } })
  await host.start()
  await host.untilStatus('click-count', 'running')
  const producer = quietKafka(address).producer({ transactionalId: ownName('other') })
  await producer.connect()
  t.teardown(() => producer.disconnect())
  const transaction = await producer.transaction()
  const click = { key: 'k1', value: JSON.stringify({ page: 'p0' }) }
  await transaction.send({ topic: `${namespace}clicks`, messages: [click] })
  const token = await host.emit('clicks', 'k1', { page: 'p0' })
  t.match(await host.get('/functions/click-count'), { body: { state: 'running', lag: 2 } })
  await transaction.abort()
  t.match(await host.view('click-count', 'k1', token), { count: 1 })
  await host.untilStatus('click-count', ({ lag }) => lag === 0)
})

t.test('one host has a data folder, whatever its log', async (t) => {
  const hostOf = hostsOf(t)
  const host = hostOf('one', { namespace: namespaceOf('locked') })
  await host.start()
  const args = ['start', '--root', host.root, '--port', '0', '--no-supervisor']
  const other = new Command(t, [...args, '--log', `kafka://${address}`], {
    MILLRACE_LOGGING_FORMAT: 'json',
  })
  t.match(await other.ended, { code: 75 })
  t.match(other.err + other.out, new RegExp(`in use by process ${process.pid}: stop that process`))
})

t.test('a function that is reset begins anew', async (t) => {
  const namespace = namespaceOf('reset')
  const hostOf = hostsOf(t)
  const host = hostOf('one', { namespace })
  await host.start()
  const token = await host.emitAll('clicks', clicksOf(2))
  t.match(await host.view('click-count', 'k1', token), { count: 2 })
  await looped(host, 2)
  const reset = () =>
    new Command(t, ['reset', 'click-count', '--yes', '--root', host.root], {
      MILLRACE_LOG_BROKERS: address,
      MILLRACE_NAMESPACE: namespace,
    })
  const other = hostOf('other', { namespace })
  await other.start()
  await host.stop()
  const early = reset()
  t.match(await early.ended, { code: 1 }, 'not while another host runs it')
  t.match(early.err, /the group .*click-count \(NON_EMPTY_GROUP\): it has members/)
  await other.stop()
  const done = reset()
  t.match(await done.ended, { code: 0 }, done.err)
  await host.start()
  await host.untilStatus('click-count', 'running')
  t.match(await host.view('click-count', 'k1', token), { count: 2 }, 'what its inputs have counts')
})

t.test('topics that are missing or otherwise are told, with what to do', async (t) => {
  const namespace = namespaceOf('topics')
  const stateless = {
    'copy.ts': `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({ inputs: { clicks: json() }, on: { clicks() {} } })`,
  }
  const hostOf = hostsOf(t)
  const host = hostOf('one', {
    namespace,
    functions: stateless,
    env: { MILLRACE_LOG_CREATE_TOPICS: 'false' },
  })
  await host.start()
  const command = (topic: string, partitions: number) =>
    new RegExp(
      `kafka-topics.sh --bootstrap-server ${address} --create --topic ${namespace}${topic} --partitions ${partitions} `,
    )
  const unheard = await host.untilStatus('copy', ({ error }) => error !== null)
  t.match(unheard.error, { code: 'UNKNOWN_TOPIC', message: command('millrace-control', 1) })
  await makeTopics(
    t,
    address,
    { [`${namespace}millrace-control`]: 1 },
    { 'cleanup.policy': 'compact' },
  )
  const refused = await host.untilStatus('copy', ({ error }) => {
    return error?.message.includes('millrace-control') === false
  })
  t.match(refused.error, { code: 'UNKNOWN_TOPIC', message: command('clicks', 3) })
  await makeTopics(t, address, { [`${namespace}clicks`]: 2 })
  await fetch(`${host.host.url}/functions/copy/resume`, { method: 'POST' })
  const { partitions } = await host.untilStatus('copy', 'running')
  t.equal(partitions.length, 2, 'a topic that is there is taken as it is')

  const table = hostOf('table', { namespace })
  await makeTopics(t, address, {
    [`${namespace}click-count-table`]: 2,
    [`${namespace}pages`]: 3,
    [`${namespace}page-count-table`]: 5,
  })
  await table.start()
  const asStream = await table.untilStatus('click-count', ({ error }) => error !== null)
  t.match(asStream.error, {
    code: 'TOPIC_MISMATCH',
    message:
      /is to be a table, and has cleanup\.policy=delete: .*--add-config cleanup\.policy=compact/,
  })
  const uneven = await table.untilStatus('page-count', ({ error }) => error !== null)
  t.match(uneven.error, { code: 'TOPIC_MISMATCH', message: /need the same number/ })
})

t.test('a topic that gets more partitions halts who reads it, and says so', async (t) => {
  const namespace = namespaceOf('more')
  const hostOf = hostsOf(t)
  const host = hostOf('one', { namespace, env: { MILLRACE_LOG_KAFKA_METADATA_INTERVAL_MS: '200' } })
  await host.start()
  await host.untilStatus('page-count', 'running')
  await runTool(address, 'kafka-topics', [
    '--alter',
    '--topic',
    `${namespace}pages`,
    '--partitions',
    '5',
  ])
  const { error, state } = await host.untilStatus('page-count', ({ error }) => error !== null)
  t.equal(state, 'joining')
  t.match(error, { code: 'TOPIC_MISMATCH', message: /has 5 partitions by now, .* made for 3/ })
})

t.test('a host that was killed is not waited for by the one after it', async (t) => {
  const namespace = namespaceOf('killed')
  const root = testFolder(t, { functions })
  const env = {
    MILLRACE_LOG_BROKERS: address,
    MILLRACE_NAMESPACE: namespace,
    // Far longer than the test may take.
    MILLRACE_LOG_KAFKA_SESSION_TIMEOUT_MS: '120000',
    MILLRACE_LOGGING_FORMAT: 'json',
  }
  const args = ['start', '--root', root, '--port', '0']
  const command = new Command(t, args, env)
  const counted = async (url: string, count: number) => {
    const response = await fetch(`${url}/emitters/clicks/ada`, {
      method: 'POST',
      body: '{"page":"p"}',
    })
    const { token } = (await response.json()) as { token: string }
    const view = await fetch(`${url}/views/click-count/ada?after=${token}&timeoutMs=60000`)
    t.match(await view.json(), { count })
  }
  const first = await command.host()
  await until('it runs', async () => (await fetch(`${first.url}/readyz`)).ok)
  await counted(first.url, 1)
  process.kill(first.pid, 'SIGKILL')
  const second = await command.host(2)
  await until('the next one runs', async () => (await fetch(`${second.url}/readyz`)).ok)
  await counted(second.url, 2)
  command.child.kill('SIGTERM')
  t.match(await command.ended, { code: 0 })
})
