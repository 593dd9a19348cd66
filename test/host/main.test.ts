// The command line, as a process: help, refusals, exit codes, signals.
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { functionFiles } from '#host/commands/template.js'
import { Command } from '../support/command.js'
import { testFolder } from '../support/folder.js'

const counter = `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { clicks: json<{ page: string }>() },
  table: json<number>(),
  on: { async clicks(ctx) { SLOW; ctx.set((ctx.get() ?? 0) + 1) } },
})`

const project = (t: Test, slow = ''): string =>
  testFolder(t, { functions: { 'click-count.ts': counter.replace('SLOW', slow) } })

t.test(
  'help names the commands, with an example of each; the version is that of the package',
  async (t) => {
    for (const [args, expected] of [
      [['--help'], /dev[\s\S]*start[\s\S]*Examples:/],
      [['start', '--help'], /--root[\s\S]*--port[\s\S]*--data[\s\S]*Example:\n.*millrace start/],
      [['dev', '--help'], /Example:\n.*millrace dev/],
      [['--version'], /^\d+\.\d+\.\d+\n$/],
    ] as const) {
      const command = new Command(t, args)
      t.same(await command.ended, { code: 0, signal: null })
      t.match(command.out, expected)
      t.equal(command.err, '')
    }
  },
)

t.test('a mistake in the call ends with 64 and a hint', async (t) => {
  for (const [args, hint] of [
    [['strat'], /Did you mean start\?/],
    [['start', '--prot', '1'], /Did you mean --port\?/],
    [['start', '--port', ''], /empty/],
  ] as const) {
    const command = new Command(t, args)
    t.match(await command.ended, { code: 64 })
    t.match(command.err, hint)
  }
})

t.test(
  'a host that cannot start says why, without a stack, with the code of the table',
  async (t) => {
    const root = project(t)
    const loaded = `require('node:fs').writeFileSync(${JSON.stringify(join(root, 'loaded'))}, '')`
    writeFileSync(join(root, 'functions/aware.ts'), loaded)
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    t.teardown(() => taken.close())
    const address = taken.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    for (const [args, code, message] of [
      [['--port', 'x'], 78, /BAD_CONFIG.*http\.port \(--port\): found "x"/],
      [['--log', 'kafka://a'], 78, /BAD_CONFIG.*log\.brokers\.0 \(--log\).*host:port/],
      [['--host', '0.0.0.0'], 78, /TOKENS_REQUIRED/],
      [['--port', String(port)], 69, new RegExp(`PORT_IN_USE: port ${port} `)],
      [['--data', '/dev/null/x'], 73, /DATA_NOT_WRITABLE/],
    ] as const) {
      const command = new Command(t, ['start', '--root', root, ...args])
      t.match(await command.ended, { code, signal: null }, args.join(' '))
      t.match(command.err, message)
      t.notMatch(command.err, /\n +at /)
      t.notOk(existsSync(join(root, 'loaded')), 'no function has run')
    }
    const command = new Command(t, ['start', '--root', root], { MILLRACE_HTTP_PROT: '1' })
    t.match(await command.ended, { code: 78 })
  },
)

t.test('a signal stops it gracefully: what was emitted is there the next time', async (t) => {
  const root = project(t)
  for (const [signal, count] of [
    ['SIGTERM', 1],
    ['SIGINT', 2],
  ] as const) {
    const command = new Command(t, ['start', '--root', root, '--port', '0'])
    await command.printed('"listening"')
    const line = command.lines().find(({ msg }) => msg === 'listening')
    t.match(line, {
      url: /^http:\/\/127\.0\.0\.1:\d+$/,
      functions: ['click-count'],
      tables: ['click-count'],
    })
    const url = String(line?.url)
    const emitted = await fetch(`${url}/emitters/clicks/ada`, {
      method: 'POST',
      body: '{"page":"/"}',
    })
    const { token } = (await emitted.json()) as { token: string }
    t.equal(
      await (await fetch(`${url}/views/click-count/ada?after=${token}`)).text(),
      String(count),
    )
    command.child.kill(signal)
    t.same(await command.ended, { code: 0, signal: null })
    t.equal(command.lines().at(-1)?.msg, 'stopped', 'the last line is out')
    t.equal(command.err, '')
  }
})

t.test('a second signal ends it at once, a stop that hangs ends it in time', async (t) => {
  const root = project(t, "ctx.log.info('begun'); await new Promise(() => {})")
  const start = async (env: Record<string, string>) => {
    const command = new Command(t, ['start', '--root', root, '--port', '0'], env)
    await command.printed('"listening"')
    const url = String(command.lines().find(({ msg }) => msg === 'listening')?.url)
    await fetch(`${url}/emitters/clicks/ada`, { method: 'POST', body: '{"page":"/"}' })
    await command.printed('"begun"')
    command.child.kill('SIGTERM')
    await command.printed('"stopping"')
    return command
  }
  const twice = await start({ MILLRACE_LIMITS_DRAIN_MS: '60000', MILLRACE_LIMITS_STOP_MS: '60000' })
  twice.child.kill('SIGINT')
  t.same(await twice.ended, { code: 130, signal: null })
  const late = await start({ MILLRACE_LIMITS_DRAIN_MS: '60000', MILLRACE_LIMITS_STOP_MS: '100' })
  t.same(await late.ended, { code: 1, signal: null })
  t.match(late.err, /not stopped within 100 ms/)
})

t.test('Ctrl-C through npm, which comes twice at once, is one signal', async (t) => {
  const root = project(t, "ctx.log.info('begun'); await new Promise(() => {})")
  const command = new Command(t, ['start', '--root', root, '--port', '0'], {
    MILLRACE_LIMITS_DRAIN_MS: '1500',
  })
  await command.printed('"listening"')
  const url = String(command.lines().find(({ msg }) => msg === 'listening')?.url)
  await fetch(`${url}/emitters/clicks/ada`, { method: 'POST', body: '{"page":"/"}' })
  await command.printed('"begun"')
  command.child.kill('SIGINT')
  await command.printed('"stopping"')
  command.child.kill('SIGINT')
  t.same(await command.ended, { code: 0, signal: null })
  t.equal(command.lines().at(-1)?.msg, 'stopped')
})

t.test('a folder that is not there is an error, not an empty host', async (t) => {
  const root = testFolder(t, { app: { 'host.config.json': '{"functions":"nix"}' } })
  for (const [args, said] of [
    [['dev', '--root', `${root}/typo`], /--root: there is no folder .*typo/],
    [['start', '--root', `${root}/app`], /functions: there is no folder .*nix/],
  ] as const) {
    const command = new Command(t, [...args, '--port', '0'], {})
    t.match(await command.ended, { code: 78 })
    t.match(command.err, said)
  }
})

t.test('dev says where it listens, what runs and what to try', async (t) => {
  const command = new Command(t, ['dev', '--root', project(t), '--port', '0'], {
    MILLRACE_LOGGING_FORMAT: 'pretty',
  })
  await command.printed('/views/click-count/alice\n')
  t.match(
    command.out,
    /listens on http:\/\/127[\s\S]*functions +click-count[\s\S]*streams +clicks \(4[\s\S]*curl http.*\/emitters\/clicks\/alice/,
  )
  command.child.kill('SIGINT')
  t.match(await command.ended, { code: 0 })
})

t.test('dev names what does not run, too, and shows the record that the file shows', async (t) => {
  const [count] = functionFiles('count', 'page-count')
  const functions = { 'page-count.ts': count?.text ?? '', 'broken.ts': 'export default {{' }
  const root = testFolder(t, { functions })
  const command = new Command(t, ['dev', '--root', root, '--port', '0'], {
    MILLRACE_LOGGING_FORMAT: 'pretty',
  })
  await command.printed('/views/page-count/alice\n')
  t.match(
    command.out,
    /functions +broken \(does not run: see above\)\n +page-count \((starting|running)\)\n/,
  )
  t.match(command.out, / try +curl \S+\/emitters\/clicks\/alice -d '\{"page":"\/home"\}'\n/)
})
