// A function that recovers ahead of joining its group: what is shown meanwhile, and that a save, a pause and a stop do not wait for it.
import t from 'tap'
import { testHost } from '../support/host.js'
import { until } from '../support/until.js'

const partitions = 4

const greeter = (word: string) => `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { visits: json<string>() },
  joins: { names: json<string>() },
  table: json<string>(),
  recoverAhead: true,
  on: { visits: (ctx) => ctx.set(\`${word} \${ctx.join('names') ?? '-'}\`) },
})`

const names = `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { signups: json<string>() },
  table: json<string>(),
  on: { signups: (ctx, name) => ctx.set(name) },
})`

t.test('it waits for what it joins, and is swapped, paused and resumed meanwhile', async (t) => {
  const host = await testHost(t, { functions: { 'greeter.ts': greeter('hello') } })
  const waits = await host.untilStatus('greeter', (shown) => shown.partitions.length === partitions)
  t.equal(waits.state, 'recovering')
  t.ok(waits.partitions.every(({ state }) => state === 'standby'))

  host.save('greeter.ts', greeter('welcome'))
  await host.untilStatus('greeter', ({ swaps }) => swaps === 1)
  const post = (what: string) =>
    fetch(`${host.host.url}/functions/greeter/${what}`, { method: 'POST' })
  t.equal((await post('pause')).status, 200)
  t.equal((await post('resume')).status, 200)
  t.equal((await host.status('greeter'))?.state, 'recovering')
  t.equal((await post('restart')).status, 200, 'its thread begins anew')
  await host.untilStatus('greeter', (shown) => shown.partitions.length === partitions)

  host.save('names.ts', names)
  await host.untilStatus('greeter', 'running')
  const shown = await host.status('greeter')
  t.ok(shown?.partitions.every(({ state }) => state === 'running'))
  await host.emit('signups', 'a', 'Ann')
  const token = await host.emit('visits', 'a', 'x')
  t.match(await host.view('greeter', 'a', token), /^welcome/)
})

t.test('it is stopped meanwhile', async (t) => {
  const host = await testHost(t, { functions: { 'greeter.ts': greeter('hello') } })
  await host.untilStatus('greeter', (shown) => shown.partitions.length === partitions)
  await host.stop()
  await host.start()
  const again = await host.untilStatus('greeter', (shown) => shown.partitions.length === partitions)
  t.equal(again.state, 'recovering')
  host.remove('greeter.ts')
  await until('it is gone', async () => (await host.status('greeter')) === undefined)
})
