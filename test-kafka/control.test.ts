// One word for all instances: what one of them is asked every one does, also one that is away meanwhile.
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type HostProcess, startHostProcess } from '#bench/host-process.js'
import { testFolder } from '../test/support/folder.js'
import type { HostUnderTest } from '../test/support/host.js'
import { brokersOf } from '../test/support/kafka/client.js'
import { Instances } from '../test/support/kafka/instances.js'
import { brokerAddress } from '../test/support/kafka/shared.js'
import { short } from '../test/support/kafka/trial.js'
import { until } from '../test/support/until.js'

const address = await brokerAddress(t)
const partitions = 4
const keys = Array.from({ length: 12 }, (_, n) => `k${n}`)
const root = testFolder(t)
const held = join(root, 'held')
/** That a host of this process stays at a record. */
const holds = join(root, `holds-${process.pid}`)

/** With the file `held` it stays at its record until that is taken away. */
const source = `
import { existsSync, writeFileSync } from 'node:fs'
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { clicks: json<number>() },
  table: json<number>(),
  on: {
    async clicks(ctx, n) {
      if (existsSync(${JSON.stringify(held)})) {
        writeFileSync(\`${join(root, 'holds-')}\${process.pid}\`, '')
        while (existsSync(${JSON.stringify(held)})) {
          await new Promise((resolve) => setTimeout(resolve, 2))
        }
      }
      ctx.set((ctx.get() ?? 0) + n)
    },
  },
})`

const env = {
  ...short,
  MILLRACE_LOG_KAFKA_HEARTBEAT_INTERVAL_MS: '100',
  // Longer than a test: what is held comes to its end, and is not given up.
  MILLRACE_LIMITS_DRAIN_MS: '30000',
  MILLRACE_LOG_KAFKA_REBALANCE_TIMEOUT_MS: '100000',
}
const instances = new Instances(t, 'control', {
  address,
  partitions,
  root,
  function: { name: 'totals', source },
  env,
})
const [one, two] = [instances.host('one'), instances.host('two')]
let sum = 0

const table = `${instances.namespace}totals-table`
const brokers = brokersOf(t, address)
const tableId = async () => (await brokers.topics([table])).get(table)?.id

const ask = async (url: string, operation: string) => {
  const response = await fetch(`${url}/functions/totals/${operation}`, { method: 'POST' })
  return { status: response.status, body: await response.json() }
}

async function click(n: number): Promise<string> {
  sum += n
  return await two.emitAll(
    'clicks',
    keys.map((key) => ({ key, value: n })),
  )
}

const counted = () => instances.counted(new Map(keys.map((key) => [key, sum])))
const isPaused = (host: HostUnderTest) => host.untilStatus('totals', 'paused')

t.test('what one is asked to pause is paused on all, also on one that comes later', async (t) => {
  await instances.start('one')
  await instances.start('two')
  await instances.shared()
  await click(1)
  await counted()
  t.match(await ask(one.host.url, 'pause'), {
    status: 200,
    body: { state: 'paused', asked: 'all' },
  })
  await isPaused(two)
  const three = await instances.start('three')
  await isPaused(three)
  await click(2)
  t.match(await ask(three.host.url, 'resume'), { status: 200, body: { asked: 'all' } })
  await counted()
  await instances.shared()
  await instances.stop('three')
})

t.test('a reset gives exactly what the inputs have, on all instances', async (t) => {
  await instances.shared()
  const before = await tableId()
  t.match(await ask(two.host.url, 'reset'), {
    status: 200,
    body: { function: 'totals', asked: 'all', topics: [table] },
  })
  await instances.shared()
  await counted()
  const after = await tableId()
  t.not(after, before)
  await instances.stop('two')
  t.match(await ask(one.host.url, 'reset'), { status: 200 }, 'with one that is away')
  await instances.start('two')
  await instances.shared()
  t.not(await tableId(), after)
  await click(3)
  await counted()
})

t.test('a reset whose host is killed in the middle is finished by another', async (t) => {
  await instances.stop('one')
  const data = join(one.root, '.millrace')
  const doomed: HostProcess = await startHostProcess({
    root: one.root,
    data,
    env: {
      ...env,
      MILLRACE_LOG_BROKERS: address,
      MILLRACE_NAMESPACE: instances.namespace,
      MILLRACE_LOG_PARTITIONS: String(partitions),
    },
  })
  t.teardown(() => doomed.kill())
  await doomed.ready()
  await until('each has some', async () => (await two.status('totals'))?.partitions.length === 2)
  const id = await tableId()
  writeFileSync(held, '')
  await click(4)
  await until('the other is held up', () => existsSync(holds))
  const before = two.lines.length
  const asking = ask(doomed.url, 'reset')
  asking.catch(() => {})
  await until('the other has been told', () =>
    two.lines.slice(before).some((line) => line.includes('is being reset')),
  )
  await doomed.kill()
  await t.rejects(asking)
  t.equal(await tableId(), id, 'nothing is deleted as long as the other has not stopped it')
  rmSync(held)
  await instances.start('one')
  await instances.shared()
  t.not(await tableId(), id)
  await counted()
})
