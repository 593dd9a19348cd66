// Visits of a function in its own thread, asked for over HTTP: with its counts, and with all that ends one.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type HostUnderTest, testHost } from '../../support/host.js'
import { until } from '../../support/until.js'

const keys = 200

/** A visit of a key waits until there is a flag `go`, once some were visited; `die` ends the thread. */
const counter = (version = 1) => `
import { existsSync, writeFileSync } from 'node:fs'
import { defineProcessor, json } from 'millrace'
const flag = (name: string) => existsSync(process.env.VISIT_FLAGS + name)
let visits = 0
export default defineProcessor({
  inputs: { clicks: json<number>() },
  table: json<{ clicks: number; visits: number }>(),
  retry: { attempts: 1 },
  on: {
    clicks(ctx) {
      const { clicks, visits } = ctx.get() ?? { clicks: 0, visits: 0 }
      ctx.set({ clicks: clicks + 1, visits })
    },
  },
  visitors: {
    async slowly(ctx, { until = 'go' }: { until?: string } = {}) {
      visits += 1
      if (visits > 20) {
        writeFileSync(process.env.VISIT_FLAGS + 'waits', '')
        while (!flag(until) && !ctx.signal.aborted) {
          if (flag('die')) process.exit(3)
          await new Promise((resolve) => setTimeout(resolve, 1))
        }
      }
      const { clicks, visits: before } = ctx.get() ?? { clicks: 0, visits: 0 }
      ctx.set({ clicks, visits: before + ${version} })
    },
    fail(ctx) {
      if (ctx.key === 'key-7') throw new Error('no luck')
    },
  },
})`

async function filled(t: Test) {
  const folder = t.testdirName
  process.env.VISIT_FLAGS = `${folder}/flags/`
  const host = await testHost(t, {
    functions: { 'counter.ts': counter() },
    env: { MILLRACE_LIMITS_DRAIN_MS: '3000' },
  })
  mkdirSync(join(host.root, 'flags'), { recursive: true })
  await host.untilStatus('counter', 'running')
  const lines = Array.from({ length: keys }, (_, n) => ({ key: `key-${n}`, value: n }))
  const token = await host.emitAll('clicks', lines)
  for (const { key } of lines) await host.view('counter', key, token)
  const raise = (name: string) => writeFileSync(join(host.root, 'flags', name), '')
  return { host, raise }
}

interface Answer {
  readonly status: number
  readonly body: {
    readonly visited?: number
    readonly error?: {
      readonly code: string
      readonly message: string
      readonly details: {
        readonly visited: number
        readonly exact: boolean
        readonly reason: string
      }
    }
  }
}

async function visit(
  host: HostUnderTest,
  visitor: string,
  { argument, signal }: { argument?: unknown; signal?: AbortSignal } = {},
): Promise<Answer> {
  const response = await fetch(`${host.host.url}/functions/counter/visit/${visitor}`, {
    method: 'POST',
    body: argument === undefined ? null : JSON.stringify(argument),
    ...(signal === undefined ? {} : { signal }),
  })
  return { status: response.status, body: (await response.json()) as Answer['body'] }
}

/** How many keys the log says were visited. */
async function visited(host: HostUnderTest): Promise<number> {
  const { body } = await host.get(`/views/counter?limit=${keys}`)
  const { entries } = body as { entries: { value: { clicks: number; visits: number } }[] }
  if (!entries.every(({ value }) => value.clicks === 1)) throw new Error('clicks were lost')
  return entries.filter(({ value }) => value.visits > 0).length
}

const waits = async (host: HostUnderTest) => {
  const { access } = await import('node:fs/promises')
  await until('some keys are visited', () =>
    access(join(host.root, 'flags/waits')).then(
      () => true,
      () => false,
    ),
  )
}

t.test('every key is visited once, and the table shows it when the answer comes', async (t) => {
  const { host, raise } = await filled(t)
  raise('go')
  t.match(await visit(host, 'slowly', { argument: {} }), {
    status: 200,
    body: { function: 'counter', visited: keys, failed: 0, vanished: 0, partitions: [0, 1, 2, 3] },
  })
  t.equal(await visited(host), keys)
  t.match(await host.status('counter'), { records: keys })
  t.match(await visit(host, 'slowl'), {
    status: 404,
    body: { error: { code: 'UNKNOWN_VISITOR', message: /did you mean "slowly"/ } },
  })
  const failed = await visit(host, 'fail')
  t.match(failed, {
    status: 500,
    body: {
      error: { code: 'VISIT_FAILED', message: /"key-7".*no luck/, details: { key: 'key-7' } },
    },
  })
  t.match(
    host.lines.join(''),
    /> \d+ \| .*throw new Error\('no luck'\)/,
    'with its line in the log',
  )
  t.match(await host.status('counter'), { state: 'running', error: null })
})

const ends: Record<string, { reason: string; end(host: HostUnderTest): Promise<unknown> }> = {
  'a save': {
    reason: 'swapped',
    async end(host) {
      const { version } = (await host.status('counter')) ?? {}
      host.save('counter.ts', counter(10))
      await host.untilStatus('counter', (status) => status.version !== version)
    },
  },
  'a pause': {
    reason: 'paused',
    end: (host) => fetch(`${host.host.url}/functions/counter/pause`, { method: 'POST' }),
  },
  'a restart': {
    reason: 'drained',
    end: (host) => fetch(`${host.host.url}/functions/counter/restart`, { method: 'POST' }),
  },
  'the removal of its file': {
    reason: 'drained',
    async end(host) {
      host.remove('counter.ts')
      await until('it is gone', async () => (await host.status('counter')) === undefined)
      host.save('counter.ts', counter())
      await host.untilStatus('counter', 'running')
    },
  },
  'the stop of the host': {
    reason: 'drained',
    async end(host) {
      await host.stop()
      await host.start()
      await host.untilStatus('counter', 'running')
    },
  },
}
for (const [what, { reason, end }] of Object.entries(ends)) {
  t.test(`${what} ends a visit, and its caller is told exactly how far it came`, async (t) => {
    const { host, raise } = await filled(t)
    const visiting = visit(host, 'slowly')
    await waits(host)
    t.match(await visit(host, 'fail'), { status: 409, body: { error: { code: 'VISIT_RUNNING' } } })
    // The visits that wait are given up after a while.
    const ended = end(host)
    const { status, body } = await visiting
    await ended
    await host.untilStatus('counter', ({ state }) => state === 'running' || state === 'paused')
    raise('go')
    if (body.error === undefined) {
      t.fail(`it came to its end: ${JSON.stringify(body)}`)
      return
    }
    t.match(
      { status, error: body.error },
      {
        status: 409,
        error: { code: 'VISIT_ABORTED', details: { reason, exact: true } },
      },
    )
    t.equal(await visited(host), body.error.details.visited)
  })
}

t.test('the end of its request ends a visit, and another may begin', async (t) => {
  const { host, raise } = await filled(t)
  const client = new AbortController()
  const visiting = visit(host, 'slowly', { signal: client.signal })
  await waits(host)
  client.abort()
  await t.rejects(visiting)
  await until('it has ended', async () => (await visit(host, 'fail')).status !== 409)
  const before = await visited(host)
  t.ok(before < keys, `${before}`)
  raise('go')
  t.match(await visit(host, 'slowly'), { status: 200, body: { visited: keys } })
})

t.test('a thread that dies ends a visit; the count is the least', async (t) => {
  const { host, raise } = await filled(t)
  const visiting = visit(host, 'slowly')
  await waits(host)
  raise('die')
  const { status, body } = await visiting
  t.match(
    { status, body },
    {
      status: 409,
      body: { error: { code: 'VISIT_ABORTED', details: { reason: 'died', exact: false } } },
    },
  )
  await host.untilStatus('counter', 'running')
  const found = await until('the table is there', () => visited(host).catch(() => undefined))
  t.ok(found >= (body.error?.details.visited ?? Number.NaN), `${found}`)
})

t.test('a function that is paused, or whose file was refused, is not visited', async (t) => {
  const { host } = await filled(t)
  await fetch(`${host.host.url}/functions/counter/pause`, { method: 'POST' })
  t.match(await visit(host, 'fail'), { status: 409, body: { error: { code: 'NOT_RUNNING' } } })
})
