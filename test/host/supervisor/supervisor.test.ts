// The supervisor and the host that it starts, as processes: who dies, who comes back, who is told what.
import { ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { rm, writeFile as save } from 'node:fs/promises'
import t, { type Test } from 'tap'
import { createLogger } from '#host/logger.js'
import { supervise } from '#host/supervisor/supervisor.js'
import { Command } from '../../support/command.js'
import { testFolder } from '../../support/folder.js'
import { until } from '../../support/until.js'

const counter = `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { clicks: json() },
  table: json<number>(),
  on: { clicks(ctx) { ctx.set((ctx.get() ?? 0) + 1) } },
})`

const project = (t: Test): string => testFolder(t, { functions: { 'click-count.ts': counter } })

const start = (t: Test, root: string, ...more: readonly string[]): Command =>
  new Command(t, ['start', '--root', root, '--port', '0', ...more])

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function click(url: string, key: string): Promise<string> {
  const response = await fetch(`${url}/emitters/clicks/${key}`, { method: 'POST', body: '{}' })
  const body = (await response.json()) as { token: string }
  if (response.status !== 201) throw new Error(`${response.status} ${JSON.stringify(body)}`)
  return body.token
}

async function count(url: string, key: string, token: string): Promise<number> {
  const response = await fetch(`${url}/views/click-count/${key}?after=${token}&timeoutMs=30000`)
  return Number(await response.text())
}

t.test('a host that is killed is started anew, where it was, with all that it had', async (t) => {
  const command = start(t, project(t))
  let host = await command.host()
  t.not(host.pid, command.child.pid, 'the host is a process of its own')
  const { url } = host
  for (let kills = 1; kills <= 3; kills += 1) {
    const token = await click(url, 'ada')
    t.equal(await count(url, 'ada', token), kills)
    process.kill(host.pid, 'SIGKILL')
    const next = await command.host(kills + 1)
    t.not(next.pid, host.pid)
    t.equal(next.url, url, 'it listens on the port that clients know')
    host = next
  }
  const errors = command.lines().filter(({ level }) => level === 'error')
  t.match(
    errors.map(({ msg }) => msg),
    [/died \(SIGKILL\): started anew at once/, /died \(SIGKILL\)/, /died \(SIGKILL\)/],
  )
  command.child.kill('SIGTERM')
  t.same(await command.ended, { code: 0, signal: null })
  t.notOk(isAlive(host.pid))
})

t.test(
  'memory that is freed is given back to the system, unless the environment says otherwise',
  { skip: process.platform !== 'linux' && 'only Linux shows what a process was given' },
  async (t) => {
    for (const [name, given, found] of [
      ['MALLOC_TRIM_THRESHOLD_', undefined, '131072'],
      ['MALLOC_TRIM_THRESHOLD_', '1', '1'],
      ['MALLOC_ARENA_MAX', undefined, '2'],
    ] as const) {
      const args = ['start', '--root', project(t), '--port', '0']
      const command = new Command(t, args, given === undefined ? {} : { [name]: given })
      const { pid } = await command.host()
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
      t.same(
        environment.filter((variable) => variable.startsWith(name)),
        [`${name}=${found}`],
      )
      command.child.kill('SIGTERM')
      await command.ended
    }
  },
)

t.test('whoever kills the host under load has no function blamed for it', async (t) => {
  const command = start(t, project(t))
  const { url } = await command.host()
  let clicks = 0
  let isOver = false
  let token = ''
  const load = async () => {
    while (!isOver) {
      await click(url, 'ada').then(
        (answer) => {
          clicks += 1
          token = answer
        },
        () => {},
      )
    }
  }
  const loading = load()
  let counted = 0
  for (let kills = 1; kills <= 4; kills += 1) {
    // Beyond what the host before it had: that may be more than was acknowledged, and this one is to get on.
    counted = await until('it counts', async () => {
      const response = await fetch(`${url}/views/click-count/ada`).catch(() => undefined)
      const found = response?.ok ? Number(await response.text()) : 0
      return found > counted && found
    })
    process.kill(command.listening.at(-1)?.pid ?? 0, 'SIGKILL')
    await command.host(kills + 1)
  }
  isOver = true
  await loading
  token = await click(url, 'ada')
  clicks += 1
  t.ok((await count(url, 'ada', token)) >= clicks, 'and all that was acknowledged is counted')
  t.match(await (await fetch(`${url}/functions/click-count`)).json(), { error: null })
})

t.test('with the supervisor killed, the host flushes, ends, and lets go of the data', async (t) => {
  const root = project(t)
  const command = start(t, root)
  const { url, pid } = await command.host()
  await click(url, 'ada')
  command.child.kill('SIGKILL')
  await until('the host has ended', () => !isAlive(pid))
  t.match(command.out, /the supervisor is gone/)
  t.equal(command.lines().at(-1)?.msg, 'stopped', 'in an orderly way')
  const next = start(t, root)
  const host = await next.host()
  t.equal(await count(host.url, 'ada', await click(host.url, 'ada')), 2)
})

t.test('one Ctrl-C of a terminal, which goes to the whole group, is one signal', async (t) => {
  const command = start(t, project(t))
  const { pid } = await command.host()
  process.kill(-(command.child.pid ?? 0), 'SIGINT')
  t.same(await command.ended, { code: 0, signal: null })
  t.equal(command.lines().filter(({ msg }) => msg === 'stopping').length, 1)
  t.equal(command.lines().at(-1)?.msg, 'stopped')
  t.notOk(isAlive(pid))
})

t.test('a host that was asked to end is not started anew', async (t) => {
  const command = start(t, project(t))
  const { pid } = await command.host()
  process.kill(pid, 'SIGTERM')
  t.same(await command.ended, { code: 0, signal: null })
  t.equal(command.listening.length, 1)
})

t.test('a host whose main thread hangs is killed when its time is up', async (t) => {
  const root = project(t)
  const command = new Command(t, ['start', '--root', root, '--port', '0'], {
    MILLRACE_LIMITS_STOP_MS: '300',
  })
  const { pid } = await command.host()
  process.kill(pid, 'SIGSTOP')
  command.child.kill('SIGTERM')
  t.same(await command.ended, { code: 137, signal: null })
  t.notOk(isAlive(pid))
})

t.test('what ends the first host for good ends the supervisor with the same code', async (t) => {
  const root = project(t)
  const { url } = await start(t, root).host()
  const locked = start(t, root)
  t.same(await locked.ended, { code: 75, signal: null })
  t.match(locked.err, /DATA_LOCKED/)
  const taken = new Command(t, [
    ...['start', '--root', root, '--data', `${root}/other`, '--port', new URL(url).port],
  ])
  t.same(await taken.ended, { code: 69, signal: null })
  t.match(taken.err, /PORT_IN_USE/)
})

t.test('--no-supervisor, or its setting, makes one process of it', async (t) => {
  for (const [args, env] of [
    [['--no-supervisor'], {}],
    [[], { MILLRACE_SUPERVISOR_ENABLED: 'false' }],
  ] as const) {
    const command = new Command(t, ['start', '--root', project(t), '--port', '0', ...args], env)
    const { pid } = await command.host()
    t.equal(pid, command.child.pid)
    command.child.kill('SIGTERM')
    t.same(await command.ended, { code: 0, signal: null })
  }
})

t.test('SIGHUP loads what has changed, by way of the supervisor or without it', async (t) => {
  for (const more of [[], ['--no-supervisor']]) {
    const root = project(t)
    const command = start(t, root, ...more)
    const { url } = await command.host()
    t.equal(await count(url, 'ada', await click(url, 'ada')), 1)
    const files = { 'click-count.ts': counter.replace('+ 1)', '+ 100)'), 'second.ts': counter }
    await Promise.all(
      Object.entries(files).map(([name, source]) => save(`${root}/functions/${name}`, source)),
    )
    // Nobody watches: a click that comes first is counted by the old version.
    t.equal(await count(url, 'ada', await click(url, 'ada')), 2)
    command.child.kill('SIGHUP')
    await command.printed('"swapped"')
    t.equal(await count(url, 'ada', await click(url, 'ada')), 102)
    await until('the new file runs', async () => (await fetch(`${url}/functions/second`)).ok)
    await rm(`${root}/functions/second.ts`)
    command.child.kill('SIGHUP')
    await until(
      'the deleted file is gone',
      async () => !(await fetch(`${url}/functions/second`)).ok,
    )
    t.equal(command.listening.length, 1)
    command.child.kill('SIGTERM')
    t.same(await command.ended, { code: 0, signal: null })
  }
})

t.test('start --watch follows what is saved', async (t) => {
  const root = project(t)
  const command = start(t, root, '--watch')
  const { url } = await command.host()
  await save(`${root}/functions/click-count.ts`, counter.replace('+ 1)', '+ 100)'))
  await command.printed('"swapped"')
  t.equal(await count(url, 'ada', await click(url, 'ada')), 100)
})

t.test('a terminal that is closed ends dev', async (t) => {
  const command = new Command(t, ['dev', '--root', project(t), '--port', '0'])
  const { pid } = await command.host()
  command.child.kill('SIGHUP')
  t.same(await command.ended, { code: 0, signal: null })
  t.notOk(isAlive(pid))
})

t.test('a host is not lost for a signal: one that comes early, or cannot be sent', async (t) => {
  const root = testFolder(t, {
    'host.mjs': `
      import { appendFileSync } from 'node:fs'
      appendFileSync(process.argv[2], 'started\\n')
      process.on('SIGHUP', () => process.exit(7))
      process.on('disconnect', () => process.exit(1))
      process.send({ kind: 'vitals', functions: [] })`,
    starts: '',
  })
  const { kill } = ChildProcess.prototype
  let refused = 0
  ChildProcess.prototype.kill = function (this: ChildProcess) {
    ChildProcess.prototype.kill = kill
    refused += 1
    this.emit('error', new Error('kill EPERM'))
    return false
  }
  t.teardown(() => {
    ChildProcess.prototype.kill = kill
  })
  const ended = supervise({
    module: `${root}/host.mjs`,
    args: [`${root}/starts`],
    logger: createLogger({ level: 'silent', format: 'json' }),
    stopSignals: [],
    stopMs: 1_000,
    data: root,
    blame: { maxCrashes: 3, crashWindowMs: 60_000 },
    isAnyPort: false,
    isFinal: (code) => code === 7,
  })
  process.emit('SIGHUP', 'SIGHUP')
  await until('the signal could not be sent', () => refused === 1)
  process.emit('SIGHUP', 'SIGHUP')
  t.equal(await ended, 7)
  t.equal(readFileSync(`${root}/starts`, 'utf8'), 'started\n')
})
