// Visits on a live broker: whatever ends one, what its caller is told is what Kafka has.
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { testFolder } from '../test/support/folder.js'
import type { HostUnderTest } from '../test/support/host.js'
import { Instances } from '../test/support/kafka/instances.js'
import { brokerAddress } from '../test/support/kafka/shared.js'
import { until } from '../test/support/until.js'

const address = await brokerAddress(t)
const partitions = 4
const keys = Array.from({ length: 120 }, (_, n) => `key-${n}`)
const root = testFolder(t)
const flags = join(root, 'flags/')
mkdirSync(flags)

/** With the flag `hold` a visit waits at one key until it is taken down. */
const counter = `
import { existsSync, writeFileSync } from 'node:fs'
import { defineProcessor, json } from 'millrace'
const hold = ${JSON.stringify(join(flags, 'hold'))}
export default defineProcessor({
  inputs: { clicks: json() },
  table: json<{ clicks: number; visits: number }>(),
  retry: { attempts: 1 },
  on: {
    clicks(ctx) {
      const { clicks, visits } = ctx.get() ?? { clicks: 0, visits: 0 }
      ctx.set({ clicks: clicks + 1, visits })
    },
  },
  visitors: {
    async add(ctx) {
      if (ctx.key === 'key-55' && existsSync(hold)) {
        writeFileSync(${JSON.stringify(join(flags, 'waits'))}, '')
        while (existsSync(hold) && !ctx.signal.aborted) {
          await new Promise((resolve) => setTimeout(resolve, 2))
        }
      }
      const { clicks, visits } = ctx.get() ?? { clicks: 0, visits: 0 }
      ctx.set({ clicks, visits: visits + 1 })
    },
    fail(ctx) {
      if (ctx.key === 'key-55') Object(undefined).missing.field()
    },
  },
})`

const instances = new Instances(t, 'visit', {
  address,
  partitions,
  root,
  function: { name: 'counter', source: counter },
})
const [one, two] = [instances.host('one'), instances.host('two')]
/** Each that was told of. */
let told = 0

interface Visited {
  readonly exact?: boolean
  readonly visited: number
  readonly partitions: readonly number[]
}

async function visit(host: HostUnderTest, visitor = 'add', signal?: AbortSignal) {
  const response = await fetch(`${host.host.url}/functions/counter/visit/${visitor}`, {
    method: 'POST',
    ...(signal === undefined ? {} : { signal }),
  })
  const body = (await response.json()) as Visited & { error?: { code: string; details: Visited } }
  told += visitor === 'add' ? (body.error?.details ?? body).visited : 0
  return { status: response.status, body }
}

/** Begins one that waits at a key. */
async function held(signal?: AbortSignal) {
  rmSync(join(flags, 'waits'), { force: true })
  writeFileSync(join(flags, 'hold'), '')
  const visiting = visit(one, 'add', signal)
  visiting.catch(() => {})
  await until('it waits at a key', () => existsSync(join(flags, 'waits')))
  // A promise in an object: returned alone it would be waited for.
  return { visiting }
}

const release = () => rmSync(join(flags, 'hold'), { force: true })

/** Of all values, each from the host that has its partition. */
async function sums(): Promise<{ clicks: number; visits: number }> {
  const all = { clicks: 0, visits: 0 }
  for (const key of keys) {
    const { value } = await until(`${key} is served`, () => instances.served(key))
    const { clicks, visits } = Object(value)
    all.clicks += clicks
    all.visits += visits
  }
  return all
}

const clickAll = async (rounds: number) => {
  const lines = Array.from({ length: rounds }, () => keys.map((key) => ({ key, value: {} })))
  const token = await one.emitAll('clicks', lines.flat())
  for (const key of keys) await one.view('counter', key, token)
}

const aborted = {
  status: 409,
  body: { error: { code: 'VISIT_ABORTED', details: { reason: 'drained', exact: true } } },
}

t.test('visiting: success', async (t) => {
  await instances.start('one')
  await instances.shared()
  await clickAll(1)
  t.match(await visit(one), {
    status: 200,
    body: { visited: keys.length, failed: 0, vanished: 0, partitions: [0, 1, 2, 3] },
  })
  t.same(await sums(), { clicks: keys.length, visits: keys.length })
})

t.test('visiting: panic', async (t) => {
  t.match(await visit(one, 'fail'), {
    status: 500,
    body: { error: { code: 'VISIT_FAILED', details: { key: 'key-55' } } },
  })
  t.match(await one.status('counter'), { state: 'running', error: null })
  t.match(await visit(one), { status: 200 }, 'others may come after it')
})

t.test('visiting: full channel', async (t) => {
  const { clicks } = await sums()
  const { visiting } = await held()
  const clicking = clickAll(200)
  await until('there is more than can be taken', async () => {
    return Number((await one.status('counter'))?.lag) > 1_000
  })
  release()
  t.match(await visiting, { status: 200, body: { visited: keys.length } })
  await clicking
  t.same(await sums(), { clicks: clicks + 200 * keys.length, visits: told })
})

t.test('visiting: cancel', async (t) => {
  const before = (await sums()).visits
  const client = new AbortController()
  const { visiting } = await held(client.signal)
  client.abort()
  await t.rejects(visiting)
  await until('it has ended', async () => (await visit(one, 'fail')).status !== 409)
  release()
  const { visits } = await sums()
  t.ok(visits >= before && visits < before + keys.length, `${visits - before} are visited`)
  told = visits
})

t.test('visiting: exact count', async (t) => {
  const { visiting } = await held()
  t.match(await visit(one, 'fail'), { status: 409, body: { error: { code: 'VISIT_RUNNING' } } })
  release()
  t.match(await visiting, { status: 200, body: { visited: keys.length } })
  t.same((await sums()).visits, told, 'one that is refused visits none')
})

t.test('visiting: aborted by shutdown', async (t) => {
  const { visiting } = await held()
  await instances.stop('one')
  const { status, body } = await visiting
  release()
  t.match({ status, body }, aborted)
  await instances.start('one')
  await instances.shared()
  t.same((await sums()).visits, told, 'what is told is what Kafka has')
})

t.test('visiting: aborted by rebalance', async (t) => {
  const { visiting } = await held()
  await instances.start('two')
  const { status, body } = await visiting
  release()
  t.match({ status, body }, aborted)
  t.same(await instances.shared(), { one: 2, two: 2 })
  t.same((await sums()).visits, told, 'what is told is what Kafka has')
})

t.test('a visit is of all hosts, whichever is asked', async (t) => {
  for (const host of [one, two]) {
    t.match(await visit(host), {
      status: 200,
      body: { visited: keys.length, failed: 0, vanished: 0, partitions: [0, 1, 2, 3] },
    })
  }
  t.same((await sums()).visits, told)
  const { visiting } = await held()
  t.match(await visit(two, 'fail'), { status: 409, body: { error: { code: 'VISIT_RUNNING' } } })
  release()
  t.match(await visiting, { status: 200, body: { visited: keys.length } })
  t.same((await sums()).visits, told, 'one that is refused visits none')
})

t.test('a host that stops ends the visit of all, and no more is told than was done', async (t) => {
  const { visiting } = await held()
  const stopping = instances.stop('two')
  const { status, body } = await visiting
  release()
  await stopping
  await instances.shared()
  const { visits } = await sums()
  const isExact = body.error?.details.exact === true
  // One that is too busy to tell before it has gone leaves it open what it did.
  const unheard = { status: 409, body: { error: { details: { reason: 'unreachable' } } } }
  t.match({ status, body }, isExact ? aborted : unheard)
  if (isExact) t.equal(visits, told, 'what is told is what Kafka has')
  else t.ok(visits >= told, 'no more is told than was done')
  told = visits
})
