// A host whose functions read each other's tables: what they read as tables change, functions come and go, and the host is restarted.
import type { Test } from 'tap'
import { testFolder } from './folder.js'
import { HostUnderTest } from './host.js'
import { until } from './until.js'

const table = (stream: string) => `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { ${stream}: json<string>() },
  table: json<string>(),
  on: { ${stream}: (ctx, value) => (value === '' ? ctx.delete() : ctx.set(value)) },
})`

const greeter = (lookup: string) => `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { visits: json<string>() },
  joins: { names: json<string>() },
  lookups: { ${lookup}: json<string>() },
  table: json<string>(),
  outputs: { seen: json<string>() },
  on: {
    visits(ctx, page) {
      const text = \`\${ctx.join('names') ?? '-'} sees \${ctx.lookup('${lookup}', page) ?? '-'}\`
      ctx.set(text)
      ctx.emit('seen', ctx.key, page)
    },
  },
})`

/** Without a table of its own. */
const auditor = `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { seen: json<string>() },
  lookups: { names: json<string>() },
  outputs: { audits: json<string>() },
  on: { seen: (ctx) => ctx.emit('audits', ctx.key, ctx.lookup('names', ctx.key) ?? '-') },
})`

const audits = table('audits')

export async function readEachOther(
  t: Test,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  const host = new HostUnderTest(testFolder(t), {
    functions: {
      'names.ts': table('signups'),
      'titles.ts': table('pages'),
      'greeter.ts': greeter('titles'),
      'auditor.ts': auditor,
      'audit-log.ts': audits,
    },
    env,
  })
  t.teardown(() => host.stop())
  await host.start()
  const isRunning = async () => {
    for (const name of ['names', 'titles', 'greeter', 'auditor', 'audit-log']) {
      await host.untilStatus(name, 'running')
    }
  }
  await isRunning()
  /** What a visit has read; copies follow within moments. */
  const reads = async (key: string, page: string, expected: string) =>
    await until(`${key} ${page} reads ${expected}`, async () => {
      const token = await host.emit('visits', key, page)
      return (await host.view('greeter', key, token)) === expected
    })
  for (let n = 0; n < 30; n += 1) await host.emit('signups', `u${n}`, `U${n}`)
  await host.emit('pages', 'home', 'Start')
  for (let n = 0; n < 30; n += 1) await reads(`u${n}`, 'home', `U${n} sees Start`)
  await reads('nobody', 'nowhere', '- sees -')
  await until('a function without a table reads them, too', async () => {
    return (await host.view('audit-log', 'u7')) === 'U7'
  })

  // What changes while it is away, is deleted or added, is there at the first record after it.
  await host.stop()
  await host.start()
  await isRunning()
  await host.emit('signups', 'u1', 'Una')
  await host.emit('signups', 'u2', '')
  await reads('u1', 'home', 'Una sees Start')
  await reads('u2', 'home', '- sees Start')
  await host.stop()
  await host.start()
  await isRunning()
  const token = await host.emit('visits', 'u1', 'home')
  t.equal(await host.view('greeter', 'u1', token), 'Una sees Start', 'at the very first record')

  // Another table is read: one that nobody has yet.
  host.save('greeter.ts', greeter('labels'))
  const waiting = await host.untilStatus('greeter', ({ waitingFor }) => {
    return waitingFor.length === 1 && waitingFor[0]?.includes('labels') === true
  })
  t.equal(waiting.state, 'recovering')
  t.match(waiting.waitingFor, [/lookup labels: the topic .*labels-table does not exist yet/])
  const late = await host.emit('visits', 'u1', 'home')
  host.save('labels.ts', table('stickers'))
  await host.untilStatus('greeter', 'running')
  t.equal(await host.view('greeter', 'u1', late), 'Una sees -')
  t.same((await host.status('greeter'))?.waitingFor, [])
  await host.emit('stickers', 'home', 'Label')
  await reads('u1', 'home', 'Una sees Label')
  const topology = host.host.catalog.topology()
  t.match(
    topology.edges.filter(({ from }) => from.startsWith('table:')),
    [
      { from: 'table:names', to: 'function:auditor' },
      { from: 'table:names', to: 'function:greeter' },
      { from: 'table:labels', to: 'function:greeter' },
    ],
  )

  // A table that is named by its function has to be that function's.
  host.save(
    'labels.ts',
    table('stickers').replace('table: json<string>()', 'table: json<string>(), revision: 2'),
  )
  const refused = await host.untilStatus('labels', ({ error }) => error !== null)
  t.match(refused.error, {
    code: 'FUNCTION_CONFLICT',
    message: /greeter reads the table of labels in .*labels-table.*labels\.2-table.*topicTable/,
  })
  await reads('u1', 'home', 'Una sees Label')
  const rebuilt = host.lines.filter((line) => line.includes('made anew:'))
  t.same(rebuilt, [], 'no copy was taken for cut off')
}
