// pause, resume, restart: what a person may have a function do, and what becomes of it over swaps, threads and hosts.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type HostUnderTest, testHost } from '../../support/host.js'
import { until } from '../../support/until.js'

/** `before` runs with `flag(name)`: is there such a file beside the functions? */
const counter = (before = '', step = 1) => `
import { existsSync, writeFileSync } from 'node:fs'
import { defineProcessor, json } from 'millrace'
const flag = (name: string) => existsSync(process.env.FLAGS + name)
const tell = (name: string) => writeFileSync(process.env.FLAGS + name, '')
export default defineProcessor({
  inputs: { clicks: json() },
  table: json<number>(),
  retry: { attempts: 1 },
  on: {
    async clicks(ctx) {
      ${before}
      ctx.set((ctx.get() ?? 0) + ${step})
    },
  },
})`

class Flags {
  readonly #path: string
  constructor(host: { root: string }) {
    this.#path = join(host.root, 'flags/')
  }
  raise(name: string): void {
    writeFileSync(this.#path + name, '')
  }
  lower(name: string): void {
    rmSync(this.#path + name)
  }
}

async function operate(host: HostUnderTest, operation: string, name = 'counter') {
  const url = `${host.host.url}/functions/${name}/${operation}`
  const response = await fetch(url, { method: 'POST' })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

async function start(
  t: Parameters<typeof testHost>[0],
  functions: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
) {
  const folder = t.testdirName
  const before = process.env.FLAGS
  process.env.FLAGS = `${folder}/flags/`
  t.teardown(() => {
    if (before === undefined) delete process.env.FLAGS
    else process.env.FLAGS = before
  })
  const host = await testHost(t, { functions, env })
  mkdirSync(join(host.root, 'flags'), { recursive: true })
  await host.untilStatus('counter', 'running')
  return { host, flags: new Flags(host) }
}

t.test(
  'a paused function handles nothing, whatever happens to it, until it is resumed',
  async (t) => {
    const { host } = await start(t, { 'counter.ts': counter() })
    t.equal(await host.view('counter', 'ada', await host.emit('clicks', 'ada', {})), 1)
    t.match(await operate(host, 'pause'), {
      status: 200,
      body: { name: 'counter', state: 'paused', error: null },
    })
    t.match(await operate(host, 'pause'), { status: 200, body: { state: 'paused' } }, 'idempotent')
    const token = await host.emit('clicks', 'ada', {})
    t.match(
      await host.get(`/views/counter/ada?after=${token}&timeoutMs=50`),
      { status: 504 },
      'what waits for it waits in vain',
    )
    t.equal(await host.view('counter', 'ada'), 1, 'its table is read as it is')
    t.match(await host.status('counter'), { lag: 1 })
    t.match((await host.get('/readyz')).status, 200, 'the host is as ready as it was told to be')
    t.match(await host.get('/topology'), { body: { functions: [{ state: 'paused' }] } })

    const { version } = (await host.status('counter')) ?? {}
    host.save('counter.ts', counter('', 10))
    await host.untilStatus('counter', (status) => status.version !== version)
    t.match(await host.status('counter'), { state: 'paused', lag: 1 }, 'over a swap')
    t.match(await operate(host, 'restart'), { status: 200 })
    await host.untilStatus('counter', 'paused')
    t.match(await host.status('counter'), { lag: 1 }, 'over a new thread')
    await host.stop()
    await host.start()
    await host.untilStatus('counter', 'paused')
    t.match(await host.status('counter'), { lag: 1 }, 'over a new host')
    t.equal(await host.view('counter', 'ada'), 1)

    t.match(await operate(host, 'resume'), { status: 200, body: { state: 'running' } })
    t.match(await operate(host, 'resume'), { status: 200, body: { state: 'running' } })
    t.equal(await host.view('counter', 'ada', token), 11, 'by the version that is there now')
    await host.stop()
    await host.start()
    await host.untilStatus('counter', 'running')
  },
)

t.test('a function that was deleted while paused is not paused when it comes back', async (t) => {
  const { host } = await start(t, { 'counter.ts': counter() })
  await operate(host, 'pause')
  host.remove('counter.ts')
  await until('it is gone', async () => (await host.status('counter')) === undefined)
  host.save('counter.ts', counter())
  await host.untilStatus('counter', 'running')
})

t.test('that one was deleted while paused is written as soon as it can be', async (t) => {
  const { host } = await start(t, { 'counter.ts': counter() })
  await operate(host, 'pause')
  const paused = join(host.root, '.millrace/paused.json')
  // The file that is renamed to it cannot be written.
  mkdirSync(`${paused}.new`)
  host.remove('counter.ts')
  await until('that is told', () => /paused\.json cannot be written/.test(host.lines.join('')))
  host.save('counter.ts', counter())
  await host.untilStatus('counter', 'running')
  rmSync(`${paused}.new`, { recursive: true })
  await until('it is written', () => readFileSync(paused, 'utf8') === '[]\n')
})

t.test('a halted function that is resumed goes on at that record', async (t) => {
  const { host, flags } = await start(t, {
    'counter.ts': counter("if (ctx.key === 'bad' && !flag('mended')) throw new Error('not yet')"),
  })
  await host.emit('clicks', 'ada', {})
  await host.emit('clicks', 'bad', {})
  const token = await host.emit('clicks', 'bad', {})
  await host.untilStatus('counter', 'halted')
  t.match(await operate(host, 'resume'), { status: 200 })
  const again = await host.untilStatus('counter', 'halted')
  t.match(again.error, { code: 'HANDLER_FAILED', key: 'bad' }, 'it halts there again')
  flags.raise('mended')
  t.match(await operate(host, 'resume'), { status: 200, body: { state: 'running', error: null } })
  t.equal(await host.view('counter', 'bad', token), 2, 'each record counts once')
  t.equal(await host.view('counter', 'ada'), 1)
})

t.test('a function that was paused when it had halted goes on at that record', async (t) => {
  const { host, flags } = await start(t, {
    'counter.ts': counter("if (!flag('mended')) throw new Error('not yet')"),
  })
  const token = await host.emit('clicks', 'ada', {})
  await host.untilStatus('counter', 'halted')
  t.match(await operate(host, 'pause'), {
    body: { state: 'paused', error: { code: 'HANDLER_FAILED' } },
  })
  flags.raise('mended')
  await operate(host, 'resume')
  t.equal(await host.view('counter', 'ada', token), 1)
})

t.test('a restart heals a function that hangs, also one whose thread is blocked', async (t) => {
  for (const loop of ['while (true);', 'await new Promise(() => {})']) {
    await t.test(loop, async (t) => {
      const { host, flags } = await start(
        t,
        { 'counter.ts': counter(`if (flag('hang')) { tell('hangs'); ${loop} }`) },
        { MILLRACE_LIMITS_DRAIN_MS: '300' },
      )
      t.equal(await host.view('counter', 'ada', await host.emit('clicks', 'ada', {})), 1)
      flags.raise('hang')
      const token = await host.emit('clicks', 'ada', {})
      await until('it hangs', () => {
        try {
          flags.lower('hangs')
          return true
        } catch {
          return false
        }
      })
      flags.lower('hang')
      t.match(await operate(host, 'restart'), { status: 200, body: { error: null } })
      t.equal(await host.view('counter', 'ada', token), 2)
    })
  }
})

t.test(
  'a function whose thread is blocked can be paused, and goes on from its record',
  async (t) => {
    const { host, flags } = await start(
      t,
      { 'counter.ts': counter("if (flag('hang')) { tell('hangs'); while (true); }") },
      { MILLRACE_LIMITS_DRAIN_MS: '300' },
    )
    flags.raise('hang')
    const token = await host.emit('clicks', 'ada', {})
    await until('it hangs', () => {
      try {
        flags.lower('hangs')
        return true
      } catch {
        return false
      }
    })
    flags.lower('hang')
    t.match(await operate(host, 'pause'), { status: 200 })
    await host.untilStatus('counter', 'paused')
    t.equal(await host.view('counter', 'ada'), undefined)
    await operate(host, 'resume')
    t.equal(await host.view('counter', 'ada', token), 1)
  },
)

t.test('a function whose file was refused is loaded again when it is restarted', async (t) => {
  const { host, flags } = await start(t, {
    'counter.ts': counter(),
    'broken.ts': `${counter()}\nif (!flag('mended')) throw new Error('not yet')`,
  })
  await host.untilStatus('broken', 'halted')
  t.match(await operate(host, 'restart', 'broken'), {
    body: { state: 'halted', error: { code: 'LOAD_FAILED' } },
  })
  flags.raise('mended')
  await operate(host, 'restart', 'broken')
  await host.untilStatus('broken', 'running')
})

t.test(
  'what says which functions are paused is damaged: all run, and the log says so',
  async (t) => {
    const { host } = await start(t, { 'counter.ts': counter() })
    await operate(host, 'pause')
    await host.stop()
    writeFileSync(join(host.root, '.millrace/paused.json'), '{')
    await host.start()
    await host.untilStatus('counter', 'running')
    t.match(host.lines.join(''), /paused\.json cannot be read/)
  },
)
