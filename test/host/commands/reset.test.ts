// `reset`: the function begins anew, wholly or not at all, wherever it is interrupted.
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ownNames } from '#host/functions/names.js'
import { remainsOf, resetSteps } from '#host/functions/reset.js'
import { openEmbeddedLog } from '#host/log/embedded/log.js'
import { sayRunning, sayStopped } from '#host/running.js'
import { Command } from '../../support/command.js'
import { type HostUnderTest, testHost } from '../../support/host.js'

/** Adds by a step that tells which version has counted. */
const counter = (step: number) => `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { clicks: json<number>() },
  table: json<number>(),
  loop: json<number>(),
  on: { clicks(ctx, n) { ctx.set((ctx.get() ?? 0) + n * ${step}); ctx.loopback(ctx.key + '-loop', n) } },
  onLoop(ctx, n) { ctx.set((ctx.get() ?? 0) + n * ${step}) },
})`

const reset = async (t: Test, host: HostUnderTest, ...args: string[]) => {
  const command = new Command(t, ['reset', ...args, '--root', host.root])
  return { ...(await command.ended), out: command.out, err: command.err }
}

/** Three records counted by the first version; the file has the second one; the host is stopped. */
async function counted(t: Test): Promise<HostUnderTest> {
  const host = await testHost(t, { functions: { 'sum.ts': counter(1) } })
  for (const key of ['a', 'b', 'c']) await host.emit('clicks', key, 1)
  await host.untilStatus('sum', (status) => status.lag === 0 && status.records >= 6)
  await host.stop()
  host.save('sum.ts', counter(100))
  return host
}

async function totals(host: HostUnderTest): Promise<unknown[]> {
  await host.start()
  await host.untilStatus('sum', (status) => status.lag === 0 && status.state === 'running')
  const values = await Promise.all(
    ['a', 'b', 'c', 'a-loop', 'b-loop', 'c-loop'].map((key) => host.view('sum', key)),
  )
  await host.stop()
  return values
}

const before = [1, 1, 1, 1, 1, 1]
const anew = [100, 100, 100, 100, 100, 100]

t.test('a host that runs does it, and goes on', async (t) => {
  const host = await counted(t)
  await host.start()
  const data = join(host.root, '.millrace')
  t.match(await reset(t, host, 'sum', '--yes', '--data', data), {
    code: 75,
    err: /DATA_LOCKED.*stop that process/,
  })
  sayRunning(data, { pid: process.pid, url: host.host.url })
  const done = await reset(t, host, 'sum', '--yes')
  t.match(done, {
    code: 0,
    out: /^sum is reset by its host: sum-table, sum-loop, \d+ positions deleted; it has begun anew/,
  })
  await host.untilStatus('sum', (status) => status.lag === 0 && status.state === 'running')
  t.equal(await host.view('sum', 'a-loop'), 100)
  sayStopped(data)
  t.match(await reset(t, host, 'sun', '--yes', '--url', host.host.url), {
    code: 1,
    err: /UNKNOWN_FUNCTION/,
  })
  await host.stop()
  t.same(await totals(host), anew)
})

t.test('without a host the command does it, and asks', async (t) => {
  const host = await counted(t)
  t.match(await reset(t, host, 'sum'), { code: 64, err: /--yes/ })
  const done = await reset(t, host, 'sum', '--yes')
  t.match(done, { code: 0, out: /^sum is reset: sum-table \(6 records\), sum-loop \(3 records\)/ })
  t.same(await totals(host), anew)
})

t.test('a store of the user’s own goes, too', async (t) => {
  const journal = join(process.cwd(), 'examples/07-store/journal.ts')
  const kept = (step: number) =>
    `import { journal } from ${JSON.stringify(journal)}${counter(step).replace('inputs:', 'store: journal, inputs:')}`
  const host = await testHost(t, { functions: { 'sum.ts': kept(1) } })
  for (const key of ['a', 'b', 'c']) await host.emit('clicks', key, 1)
  await host.untilStatus('sum', (status) => status.lag === 0 && status.records >= 6)
  await host.stop()
  host.save('sum.ts', kept(100))
  const tables = join(host.root, '.millrace/tables')
  t.same(readdirSync(tables), ['sum.own~'])
  t.match(await reset(t, host, 'sum', '--yes'), { code: 0 })
  t.same(readdirSync(tables), [])
  t.same(await totals(host), anew)
})

t.test('works without the file, and says when there is nothing', async (t) => {
  const host = await counted(t)
  host.remove('sum.ts')
  t.match(await reset(t, host, 'sum', '--yes', '--json'), {
    code: 0,
    out: /^\{"function":"sum","topics":\["sum-table","sum-loop"\],"positions":\d+\}\n$/,
  })
  t.match(await reset(t, host, 'sum', '--yes'), { code: 1, err: /UNKNOWN_FUNCTION/ })
  host.save('sum.ts', counter(100))
  t.match(await reset(t, host, 'sum', '--yes'), { code: 0, out: /nothing to reset/ })
  t.match(await reset(t, host, 'sun', '--yes'), { code: 1, err: /did you mean sum\?/ })
  t.same(await totals(host), anew)
})

t.test(
  'resets the revision that the file names, and needs the file to load for that',
  async (t) => {
    const revised = counter(100).replace('inputs:', 'revision: 2, inputs:')
    const host = await testHost(t, { functions: { 'sum.ts': revised } })
    await host.emit('clicks', 'a', 1)
    await host.untilStatus('sum', (status) => status.lag === 0 && status.records >= 2)
    await host.stop()
    host.save('sum.ts', '{{')
    t.match(await reset(t, host, 'sum', '--yes'), { code: 1, err: /BUILD_FAILED.*mend or delete/ })
    host.save('sum.ts', revised)
    const done = await reset(t, host, 'sum', '--yes', '--json')
    t.match(done, { code: 0, out: /"topics":\["sum\.2-table","sum\.2-loop"\]/ })
    t.same(readdirSync(join(host.root, '.millrace/tables')), [], 'its store is gone, too')
  },
)

t.test('resets the group and the topics that the file names', async (t) => {
  const named = counter(1).replace(
    'inputs:',
    "group: 'Goka', tableTopic: 'totals', hasher: 'fnv1a', inputs:",
  )
  const host = await testHost(t, { functions: { 'sum.ts': named } })
  await host.emit('clicks', 'a', 1)
  await host.untilStatus('sum', (status) => status.lag === 0 && status.records >= 2)
  t.equal(await host.view('sum', 'a-loop'), 1)
  await host.stop()
  const done = await reset(t, host, 'sum', '--yes', '--json')
  t.match(done, { code: 0, out: /"topics":\["totals","Goka-loop"\],"positions":\d/ })
  t.same(readdirSync(join(host.root, '.millrace/tables')), [], 'its store is gone, too')
  host.save('sum.ts', named.replaceAll('* 1', '* 100'))
  t.same((await totals(host))[0], 100)
})

t.test(
  'of a view its store alone goes: the name may be that of who writes the table',
  async (t) => {
    const host = await counted(t)
    const tables = join(host.root, '.millrace/tables')
    const revisions = [undefined, 2] as const
    for (const revision of revisions) {
      host.save(
        'sum.ts',
        `import { defineView, json } from 'millrace'
      export default defineView({ table: 'sum-table', codec: json<number>(), revision: ${revision} })`,
      )
      await host.start()
      await host.untilStatus('sum', 'running')
      t.equal(await host.view('sum', 'a'), 1)
      await host.stop()
    }
    t.same(readdirSync(tables).sort(), ['sum', 'sum.2.view~', 'sum.view~'])
    const done = await reset(t, host, 'sum', '--yes')
    t.match(done, { code: 0, out: /^sum is reset: the local table deleted/ })
    t.same(readdirSync(tables).sort(), ['sum', 'sum.view~'])
    const former = await reset(t, host, 'sum', '--revision', '2', '--yes')
    t.match(former, { code: 0, out: /nothing to reset/ })
    host.save('sum.ts', counter(100))
    t.same(await totals(host), before, 'its group, its topics and its store are there')
    host.remove('sum.ts')
    const gone = await reset(t, host, 'sum', '--yes')
    t.match(gone, { code: 0, out: /sum-table \(6 records\).*positions, the local table deleted/ })
    t.same(readdirSync(tables), [], 'without a file it may be either')
  },
)

t.test('has a function without a table take an input that was made anew', async (t) => {
  const passing = `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({ inputs: { clicks: json<number>() }, on: { clicks() {} } })`
  const host = await testHost(t, { functions: { 'pass.ts': passing } })
  await host.emit('clicks', 'a', 1)
  await host.untilStatus('pass', ({ lag, records }) => lag === 0 && records === 1)
  await host.stop()
  {
    await using log = await openEmbeddedLog({
      path: join(host.root, '.millrace/log'),
      onFailure: (error) => t.fail(error.message),
    })
    await log.remove(['clicks'])
  }
  await host.start()
  t.match(await host.untilStatus('pass', 'halted'), {
    error: { code: 'INPUT_LOST', message: /clicks was deleted and made anew/ },
  })
  await host.stop()
  const done = await reset(t, host, 'pass', '--yes')
  t.match(done, {
    code: 0,
    out: /^pass is reset: 0 positions, what is noted of its inputs deleted/,
  })
  t.match(await reset(t, host, 'pass', '--yes'), { out: /nothing to reset/ })
  await host.start()
  await host.emit('clicks', 'a', 1)
  await host.untilStatus('pass', ({ state, records }) => state === 'running' && records === 1)
})

for (const [done, expected] of [
  [1, before],
  [2, before],
  [3, anew],
  [4, anew],
] as const) {
  t.test(
    `interrupted after step ${done}, a host is right, and a second reset ends it`,
    async (t) => {
      const host = await counted(t)
      const tables = join(host.root, '.millrace/tables')
      {
        await using log = await openEmbeddedLog({
          path: join(host.root, '.millrace/log'),
          onFailure: (error) => t.fail(error.message),
        })
        const options = { log, tables, names: ownNames('sum', '') }
        const remains = await remainsOf(options)
        for (const step of resetSteps(options, remains).slice(0, done)) await step()
      }
      t.same(await totals(host), expected)
      t.match(await reset(t, host, 'sum', '--yes'), { code: 0 })
      t.notOk(existsSync(join(tables, 'sum.reset~')))
      t.same(await totals(host), anew)
    },
  )
}
