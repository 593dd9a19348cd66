// What a view has stored is its own: no processor of its name finds it, nor another revision or kind of store.
import t from 'tap'
import { testHost } from '../../support/host.js'
import { until } from '../../support/until.js'

const counts = (more = '') => `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  ${more}
  inputs: { clicks: json<string>() },
  table: json<number>(),
  on: { clicks(ctx) { ctx.set((ctx.get() ?? 0) + 1) } },
})`

const view = (more: string) => `
import { defineView, int64, json } from 'millrace'
void int64
export default defineView({ table: 'counts-table', codec: json<number>(), ${more} })`

const texts = "stored: json<{ seen: string }>(), update(ctx, n) { ctx.set({ seen: 'seen ' + n }) },"
const numbers = (more: string) =>
  view(`stored: int64, update(ctx, n) { ctx.set(BigInt(n ?? 0) + 40n) }, ${more}`)

for (const [what, more] of [
  ['another revision', 'revision: 2'],
  ['another kind of store', "store: 'memory'"],
] as const) {
  t.test(`${what} may store what it wants, and the same may not`, async (t) => {
    const host = await testHost(t, { functions: { 'counts.ts': counts(), 'v.ts': view(texts) } })
    await host.untilStatus('v', 'running')
    const token = await host.emit('clicks', 'ann', 'home')
    t.same(await host.view('v', 'ann', token), { seen: 'seen 1' })
    host.save('v.ts', numbers(''))
    const refused = await host.untilStatus('v', ({ error }) => error !== null)
    t.match(refused, { state: 'running', error: { code: 'TABLE_MISMATCH' } })
    host.save('v.ts', numbers(more))
    await host.untilStatus('v', ({ state, error }) => state === 'running' && error === null)
    t.equal(await host.view('v', 'ann'), 41)
  })
}

t.test('a processor and a view that have a name in turn have a store each', async (t) => {
  const host = await testHost(t, { functions: { 'counts.ts': counts() } })
  const token = await host.emit('clicks', 'ann', 'home')
  t.equal(await host.view('counts', 'ann', token), 1)
  const elsewhere = counts("group: 'counts', tableTopic: 'counts-table',")
  const hasBecome = (kind: string) =>
    host.untilStatus('counts', (status) => status.kind === kind && status.state === 'running')
  host.save('counts.ts', view(texts))
  await hasBecome('view')
  t.same(await host.view('counts', 'ann'), { seen: 'seen 1' })
  host.save('counts.ts', counts())
  await hasBecome('processor')
  t.equal(await host.view('counts', 'ann'), 1)
  const again = await host.emit('clicks', 'ann', 'home')
  t.equal(await host.view('counts', 'ann', again), 2)

  host.save('counts.ts', view(texts))
  await hasBecome('view')
  host.save('other.ts', elsewhere)
  await host.untilStatus('other', 'running')
  const more = await host.emit('clicks', 'ann', 'home')
  t.equal(await host.view('other', 'ann', more), 3, 'its group is free for who writes the table')
  await until('it follows', async () => {
    return JSON.stringify(await host.view('counts', 'ann')) === '{"seen":"seen 3"}'
  })
})
