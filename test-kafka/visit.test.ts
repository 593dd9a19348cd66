// Visits on a live broker: a rebalance ends one, and what its caller is told is what Kafka has; then each host visits its own partitions.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { testFolder } from '../test/support/folder.js'
import { HostUnderTest } from '../test/support/host.js'
import { brokerAddress, ownName } from '../test/support/kafka/shared.js'
import { until } from '../test/support/until.js'

const address = await brokerAddress(t)
const partitions = 4
const keys = Array.from({ length: 120 }, (_, n) => `key-${n}`)

/** After some visits each waits for the flag `go`. */
const counter = `
import { existsSync, writeFileSync } from 'node:fs'
import { defineProcessor, json } from 'millrace'
const flags = process.env.VISIT_FLAGS
let visits = 0
export default defineProcessor({
  inputs: { clicks: json() },
  table: json<number>(),
  on: { clicks(ctx) { ctx.set(0) } },
  visitors: {
    async add(ctx) {
      visits += 1
      if (visits > 20) {
        writeFileSync(flags + 'waits', '')
        while (!existsSync(flags + 'go') && !ctx.signal.aborted) {
          await new Promise((resolve) => setTimeout(resolve, 2))
        }
      }
      ctx.set((ctx.get() ?? 0) + 1)
    },
  },
})`

interface Told {
  readonly visited: number
  readonly partitions: readonly number[]
}

async function visit(host: HostUnderTest) {
  const response = await fetch(`${host.host.url}/functions/counter/visit/add`, { method: 'POST' })
  return { status: response.status, body: await response.json() }
}

t.test('a rebalance ends a visit, exactly counted; then each host visits its own', async (t) => {
  const root = testFolder(t)
  const flags = join(root, 'flags/')
  mkdirSync(flags)
  process.env.VISIT_FLAGS = flags
  const namespace = `${ownName('visit')}-`
  const [one, two] = ['one', 'two'].map((name) => {
    const host = new HostUnderTest(join(root, name), {
      functions: { 'counter.ts': counter },
      env: {
        MILLRACE_LOG_BROKERS: address,
        MILLRACE_NAMESPACE: namespace,
        MILLRACE_LOG_KAFKA_CLIENT_ID: `${namespace}${name}`,
        MILLRACE_LOG_PARTITIONS: String(partitions),
      },
    })
    t.teardown(() => host.stop())
    return host
  })
  if (one === undefined || two === undefined) throw new Error('two hosts are made')
  const owned = async (host: HostUnderTest) =>
    (await host.status('counter'))?.partitions.filter(({ state }) => state === 'running') ?? []
  await one.start()
  await until('one has all', async () => (await owned(one)).length === partitions)
  const token = await one.emitAll(
    'clicks',
    keys.map((key) => ({ key, value: {} })),
  )
  for (const key of keys) await one.view('counter', key, token)

  const visiting = visit(one)
  await until('some are visited', () => existsSync(join(flags, 'waits')))
  await two.start()
  const { status, body } = await visiting
  t.match(
    { status, body },
    {
      status: 409,
      body: { error: { code: 'VISIT_ABORTED', details: { reason: 'drained', exact: true } } },
    },
  )
  writeFileSync(join(flags, 'go'), '')
  await until('they share', async () => {
    const [ofOne, ofTwo] = [await owned(one), await owned(two)]
    return ofOne.length > 0 && ofTwo.length > 0 && ofOne.length + ofTwo.length === partitions
  })
  const { details } = (body as { error: { details: Told } }).error
  t.ok(details.visited < keys.length)
  t.equal(await sumOf(one, two), details.visited, 'what is told is what Kafka has')

  const own = (await owned(one)).map(({ partition }) => partition)
  const [byOne, byTwo] = [(await visit(one)).body as Told, (await visit(two)).body as Told]
  t.same(byOne.partitions, own)
  t.same([...byOne.partitions, ...byTwo.partitions].sort(), [0, 1, 2, 3])
  t.equal(byOne.visited + byTwo.visited, keys.length)
  t.equal(await sumOf(one, two), details.visited + keys.length)
})

/** Of all values, each from the host that has its partition. */
async function sumOf(...hosts: readonly HostUnderTest[]): Promise<number> {
  let sum = 0
  for (const key of keys) {
    sum += await until(`${key} is served`, async () => {
      for (const host of hosts) {
        const { status, body } = await host.get(`/views/counter/${key}`)
        if (status === 200) return { value: Number(body) }
      }
      return undefined
    }).then(({ value }) => value)
  }
  return sum
}
