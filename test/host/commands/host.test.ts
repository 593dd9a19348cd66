// The commands that speak to a host, against a real one.
import t, { type Test } from 'tap'
import { Command } from '../../support/command.js'
import { testFolder } from '../../support/folder.js'
import { type HostUnderTest, testHost } from '../../support/host.js'
import { until } from '../../support/until.js'

const counter = `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { clicks: json<{ page: string }>() },
  table: json<number>(),
  outputs: { seen: json<number>() },
  on: { clicks(ctx) { ctx.set((ctx.get() ?? 0) + 1); ctx.emit('seen', ctx.key, 1) } },
})`
const names = `
import { defineProcessor, string } from 'millrace'
export default defineProcessor({
  inputs: { names: string },
  table: string,
  on: { names(ctx, name) { ctx.set(name + '|' + (ctx.headers.source ?? '') + '|' + ctx.timestamp) } },
})`
const functions = { 'click-count.ts': counter, 'last-name.ts': names }

const run = async (t: Test, host: HostUnderTest, args: readonly string[], input?: string) => {
  const given = input === undefined ? {} : { input }
  const command = new Command(t, args, { MILLRACE_URL: host.host.url }, given)
  const { code } = await command.ended
  return { code, out: command.out, err: command.err }
}

async function running(t: Test): Promise<HostUnderTest> {
  const host = await testHost(t, { functions })
  for (const name of ['click-count', 'last-name']) await host.untilStatus(name, 'running')
  return host
}

t.test('what is emitted is got: one record, many lines, a tombstone', async (t) => {
  const host = await running(t)
  const one = await run(t, host, ['emit', 'clicks', 'a/b é', '{"page":"/"}', '--json'])
  const { token } = JSON.parse(one.out)
  t.same(await run(t, host, ['get', 'click-count', 'a/b é', '--after', token]), {
    code: 0,
    out: '1\n',
    err: '',
  })
  const input = '{"key":"k1","value":{"page":"/"}}\n\n{"key":"k2","value":{"page":"/"}}'
  const many = await run(t, host, ['emit', 'clicks', '--json'], input)
  t.match(JSON.parse(many.out), { count: 2, refused: 0, lastLine: 3 })
  const after = ['--after', JSON.parse(many.out).token]
  const all = await run(t, host, ['get', 'click-count', ...after, '--prefix', 'k', '--limit', '2'])
  t.equal(all.out, '{"key":"k1","value":1}\n{"key":"k2","value":1}\n')

  const text = ['emit', 'names', 'x', 'no JSON', '--header', 'source=é', '--timestamp', '5']
  const named = JSON.parse((await run(t, host, [...text, '--json'])).out)
  const last = await run(t, host, ['get', 'last-name', 'x', '--after', named.token])
  t.equal(last.out, '"no JSON|é|5"\n')
  const deleted = await run(t, host, ['emit', 'names', 'x', '--delete'])
  t.match(deleted, { code: 0, out: /^names: partition \d, offset \d+\ntoken \S+\n$/ })
})

t.test(
  'a refusal of the host is an error with its code, for people and for programs',
  async (t) => {
    const host = await testHost(t, { functions })
    t.match(await run(t, host, ['get', 'click-count', 'nobody']), {
      code: 1,
      out: '',
      err: /^millrace: KEY_NOT_FOUND: .*nobody/,
    })
    const { code, out, err } = await run(t, host, ['emit', 'clicks', 'a', '{', '--json'])
    t.match({ code, out }, { code: 1, out: '' })
    t.match(JSON.parse(err), { error: { code: 'BAD_JSON', details: [{ line: 1 }] } })
  },
)

t.test('functions, topology, pause and resume show and do what the routes do', async (t) => {
  const host = await running(t)
  const table = await run(t, host, ['functions'])
  t.match(table.out, /^FUNCTION +STATE +VERSION +LAG +RECORDS\/S\nclick-count +running +\w{12} +0 /)
  t.match(await run(t, host, ['topology']), {
    code: 0,
    out: /^clicks ──▶ \[click-count ▤\] ──▶ seen\n\nnames ──▶ \[last-name ▤\]\n\n\[function\] /,
  })
  host.save(
    'goka.ts',
    "import { defineProcessor, int64, topic } from 'millrace'\n" +
      "export default defineProcessor({ group: 'Goka', hasher: 'fnv1a', table: int64, " +
      "inputs: { payments: topic('prod.eur', int64) }, on: { payments() {} } })",
  )
  await host.untilStatus('goka', 'running')
  t.match(await run(t, host, ['topology']), {
    code: 0,
    out: /\nstream payments lies in prod\.eur and has its keys placed by fnv1a\ntable goka lies in Goka-table and has its keys placed by fnv1a\n$/,
  })
  host.remove('goka.ts')
  await until('goka is gone', async () => (await host.status('goka')) === undefined)
  const paused = await run(t, host, ['pause', 'click-count', '--json'])
  t.match(JSON.parse(paused.out), { name: 'click-count', state: 'paused' })
  const all = await run(t, host, ['functions', '--json'])
  t.match(JSON.parse(all.out), {
    functions: [
      { name: 'click-count', state: 'paused' },
      { name: 'last-name', state: 'running' },
    ],
  })
  const resumed = await run(t, host, ['resume', 'click-count'])
  t.match(resumed.out, /^click-count\n {2}state +running\n/)
  t.match(await run(t, host, ['restart', 'nobody']), { code: 1, err: /UNKNOWN_FUNCTION/ })
})

t.test(
  'a name that is not there: what it is instead, what is near, and which there are',
  async (t) => {
    const host = await running(t)
    const said = async (...args: string[]) => (await run(t, host, args)).err
    t.match(
      await said('get', 'clicks', 'a'),
      /UNKNOWN_TABLE: .*it is a stream; tables that are made of it: click-count \(there are: click-count, last-name\)/,
    )
    t.match(await said('get', 'click-cuont', 'a'), /did you mean "click-count"\?/)
    t.match(
      await said('emit', 'clik', 'a', '1'),
      /UNKNOWN_STREAM.*\(there are: clicks, seen, names\)/,
    )
    t.match(await said('emit', 'last-name', 'a', '1'), /it is a table, which reads names/)
    t.match(await said('pause', 'lastname'), /UNKNOWN_FUNCTION.*did you mean "last-name"\?/)
  },
)

t.test('a failure is shown with its line, in the list shortly', async (t) => {
  const broken = counter.replace('ctx.set((', "throw new Error('no luck')\nctx.set((")
  const host = await testHost(t, {
    functions: { 'click-count.ts': broken.replace('on: {', 'retry: { attempts: 1 }, on: {') },
  })
  await host.emit('clicks', 'alice', { page: '/' })
  await host.untilStatus('click-count', 'halted')
  const { out } = await run(t, host, ['functions', 'click-count'])
  t.match(out, /at clicks, partition \d, offset 0, key "alice"/)
  t.match(out, /> 7 \| .*throw new Error\('no luck'\)/)
  t.match((await run(t, host, ['functions'])).out, /halted[^\n]*\n {2}\w+: .*no luck/)
})

t.test(
  'a host on any free port is found by its data folder, and waited for while it is started anew',
  async (t) => {
    const root = testFolder(t, { functions })
    const started = new Command(t, ['start', '--root', root, '--port', '0'])
    const host = await started.host()
    const get = () => new Command(t, ['functions', '--root', root, '--json'])
    const before = get()
    t.match(await before.ended, { code: 0 }, before.err)

    process.kill(host.pid, 'SIGKILL')
    await until('nobody listens', () =>
      fetch(host.url).then(
        () => false,
        () => true,
      ),
    )
    const during = get()
    t.match(await during.ended, { code: 0 }, during.err)

    started.child.kill('SIGTERM')
    t.match(await started.ended, { code: 0 })
    const after = new Command(t, ['functions', '--root', root], { MILLRACE_HTTP_PORT: '1' })
    t.match(await after.ended, { code: 69 })
    t.match(after.err, /HOST_UNREACHABLE: no host answers at http:\/\/127.0.0.1:1 /)
  },
)
