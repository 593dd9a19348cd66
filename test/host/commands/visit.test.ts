// The command `visit`, against a real host: its answer for people and for programs, and what ends it.
import t, { type Test } from 'tap'
import { Command } from '../../support/command.js'
import { type HostUnderTest, testHost } from '../../support/host.js'
import { until } from '../../support/until.js'

const counter = `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { clicks: json() },
  table: json<number>(),
  onError: 'skip',
  retry: { attempts: 1 },
  on: { clicks(ctx) { ctx.set((ctx.get() ?? 0) + 1) } },
  visitors: {
    add(ctx, { by }: { by: number }) { ctx.set((ctx.get() ?? 0) + by) },
    fail(ctx) { if (ctx.key === 'k3') throw new Error('no luck') },
    async wait(ctx) {
      ctx.log.info('waits')
      await new Promise((_, reject) => ctx.signal.addEventListener('abort', reject))
    },
  },
})`

const start = async (t: Test) => {
  const host = await testHost(t, { functions: { 'click-count.ts': counter } })
  await host.untilStatus('click-count', 'running')
  const lines = Array.from({ length: 20 }, (_, n) => ({ key: `k${n}`, value: {} }))
  const token = await host.emitAll('clicks', lines)
  for (const { key } of lines) await host.view('click-count', key, token)
  return host
}
const command = (t: Test, host: HostUnderTest, ...args: readonly string[]) =>
  new Command(t, ['visit', 'click-count', ...args], { MILLRACE_URL: host.host.url })
const ended = async (of: Command) => ({ ...(await of.ended), out: of.out, err: of.err })

t.test('every key is visited; people are told in words, programs in JSON', async (t) => {
  const host = await start(t)
  t.match(await ended(command(t, host, 'add', '{"by":5}')), {
    code: 0,
    out: '20 keys visited; partitions 0, 1, 2, 3\n',
    err: '',
  })
  t.equal(await host.view('click-count', 'k19'), 6)
  const { code, out } = await ended(command(t, host, 'add', '{"by":5}', '--json'))
  t.equal(code, 0)
  t.same(JSON.parse(out), {
    function: 'click-count',
    visitor: 'add',
    visited: 20,
    failed: 0,
    vanished: 0,
    partitions: [0, 1, 2, 3],
  })
  t.match(await ended(command(t, host, 'fail')), { code: 1, out: /^19 keys visited, 1 given up;/ })
})

t.test('what is refused is an error with its code', async (t) => {
  const host = await start(t)
  t.match(await ended(command(t, host, 'ad')), {
    code: 1,
    out: '',
    err: /UNKNOWN_VISITOR: .*did you mean "add"/,
  })
  t.match(await ended(command(t, host, 'add', '{by:5}')), { code: 1, err: /BAD_JSON/ })
  const { err } = await ended(command(t, host, 'add', '{by:5}', '--json'))
  t.match(JSON.parse(err), { error: { code: 'BAD_JSON' } })
})

t.test('an interrupt ends the visit; so does a host that stops, which says so', async (t) => {
  const host = await start(t)
  const interrupted = command(t, host, 'wait')
  await until('it waits', () => /"waits"/.test(host.lines.join('')))
  interrupted.child.kill('SIGINT')
  t.match(await ended(interrupted), { code: 130, err: /interrupted: at least 0 keys visited/ })
  host.lines.length = 0
  const refused = await until('the visit has ended', async () => {
    const again = command(t, host, 'wait', '--retry-for', '0')
    await until('it waits, or is refused', () => {
      return again.child.exitCode !== null || /"waits"/.test(host.lines.join(''))
    })
    return again.child.exitCode === null ? again : undefined
  })
  await host.stop()
  t.match(await ended(refused), { code: 1, err: /VISIT_ABORTED: .*0 keys were visited/ })
})
