// A function that kills the whole host: the host comes back, that function is held, all others go on.
import { readdirSync, readFileSync } from 'node:fs'
import { writeFile as save } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Command } from '../../support/command.js'
import { testFolder } from '../../support/folder.js'
import { until } from '../../support/until.js'

const counter = (stream: string, before = '') => `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { ${stream}: json() },
  table: json<number>(),
  on: {
    ${stream}(ctx) {
      ${before}
      ctx.set((ctx.get() ?? 0) + 1)
    },
  },
})`

/** V8 gives up in one large allocation, and the whole process with it; many small ones would end the thread alone. */
const exhaust = 'const all: unknown[] = []; for (;;) all.push(new Array(2e7).fill(0))'
const small = { NODE_OPTIONS: '--max-old-space-size=80' }

interface Status {
  readonly state: string
  readonly lag: number
  readonly error: { readonly code: string; readonly message: string } | null
}

async function call<Body>(url: string, method = 'GET', body?: string): Promise<Body> {
  const response = await fetch(url, { method, ...(body === undefined ? {} : { body }) })
  const text = await response.text()
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`)
  return JSON.parse(text) as Body
}

const emit = async (url: string, stream: string, key: string): Promise<string> =>
  (await call<{ token: string }>(`${url}/emitters/${stream}/${key}`, 'POST', '{}')).token

const read = (url: string, table: string, key: string, token: string): Promise<number> =>
  call(`${url}/views/${table}/${key}?after=${token}&timeoutMs=30000`)

/** The host may be dead at any moment. */
const untilStatus = (url: string, name: string, holds: (status: Status) => boolean) =>
  until(`${name} is as it should be`, async () => {
    const status = await call<Status>(`${url}/functions/${name}`).catch(() => undefined)
    return status !== undefined && holds(status) ? status : undefined
  })

const start = (t: Test, root: string, env: Readonly<Record<string, string>> = {}) =>
  new Command(t, ['start', '--root', root, '--port', '0'], { ...small, ...env })

t.test(
  'a function that exhausts the heap again and again is quarantined, and mended',
  async (t) => {
    const root = testFolder(t, {
      functions: { 'bomb.ts': counter('bombs', exhaust), 'sound.ts': counter('clicks') },
    })
    const secret = 'do-not-write-this-down'
    const command = start(t, root, { SECRET_OF_THE_HOST: secret })
    const { url } = await command.host()
    t.equal(await read(url, 'sound', 'ada', await emit(url, 'clicks', 'ada')), 1)
    const token = await emit(url, 'bombs', 'x')
    const halted = await untilStatus(url, 'bomb', ({ error }) => error?.code === 'QUARANTINED')
    t.match(halted, { state: 'halted', error: { message: /bomb has killed the host 3 times/ } })
    t.equal(command.listening.length >= 2, true)
    t.match(command.out, /the thread of the function bomb that the host died of/)

    t.equal(await read(url, 'sound', 'ada', await emit(url, 'clicks', 'ada')), 2, 'others count on')
    await emit(url, 'bombs', 'y')
    t.equal((await fetch(`${url}/views/bomb/x`)).status, 503, 'its table may be behind the log')
    t.equal((await fetch(`${url}/views/bomb/x?stale=ok`)).status, 404, 'and can be read as it is')

    const reports = join(root, '.millrace/crash-reports')
    t.equal(readdirSync(reports).length, 3)
    for (const name of readdirSync(reports)) {
      t.notMatch(readFileSync(join(reports, name), 'utf8'), secret, 'no secret stays on disk')
    }

    await save(join(root, 'functions/bomb.ts'), counter('bombs'))
    command.child.kill('SIGHUP')
    t.equal(await read(url, 'bomb', 'x', token), 1, 'the mended version takes that record up')
    t.match(await call(`${url}/functions/bomb`), { state: 'running', error: null })
    command.child.kill('SIGTERM')
    t.same(await command.ended, { code: 0, signal: null })
  },
)

t.test('a quarantined function is tried again when a person says so', async (t) => {
  const root = testFolder(t, { functions: { 'bomb.ts': counter('bombs', exhaust) } })
  const command = start(t, root, { MILLRACE_SUPERVISOR_MAX_CRASHES: '1' })
  const { url } = await command.host()
  await emit(url, 'bombs', 'x')
  await untilStatus(url, 'bomb', ({ error }) => error?.code === 'QUARANTINED')
  const hosts = command.listening.length
  await call(`${url}/functions/bomb/restart`, 'POST').catch(() => {})
  await command.host(hosts + 1)
  await untilStatus(url, 'bomb', ({ error }) => error?.code === 'QUARANTINED')
})

t.test(
  'of several that ran each time, the one is found that kills the host without a trace',
  async (t) => {
    const kill = "process.kill(process.pid, 'SIGKILL')"
    const root = testFolder(t, {
      functions: {
        'bomb.ts': counter('bombs', kill),
        'first.ts': counter('clicks'),
        'second.ts': counter('clicks'),
      },
    })
    const command = start(t, root)
    const { url } = await command.host()
    await emit(url, 'bombs', 'x')
    await untilStatus(url, 'bomb', ({ error }) => error?.code === 'QUARANTINED')
    const token = await emit(url, 'clicks', 'ada')
    for (const name of ['first', 'second']) t.equal(await read(url, name, 'ada', token), 1)
  },
)

t.test('a file that kills the host while it is loaded is not loaded again', async (t) => {
  const root = testFolder(t, {
    functions: {
      'bomb.ts': `process.kill(process.pid, 'SIGKILL')\n${counter('bombs')}`,
    },
  })
  const command = start(t, root)
  const { url } = await command.host()
  const status = await untilStatus(url, 'bomb', ({ error }) => error !== null)
  t.match(status, {
    state: 'halted',
    error: { code: 'QUARANTINED', message: /while it was loaded/ },
  })
  await save(join(root, 'functions/bomb.ts'), counter('bombs'))
  command.child.kill('SIGHUP')
  await untilStatus(url, 'bomb', ({ state }) => state === 'running')
})
