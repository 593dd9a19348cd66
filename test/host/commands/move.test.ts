// `move`, as far as it goes without a broker.
import t, { type Test } from 'tap'
import { Command } from '../../support/command.js'
import { testFolder } from '../../support/folder.js'
import { testHost } from '../../support/host.js'
import { until } from '../../support/until.js'

const move = async (t: Test, root: string, ...args: string[]) => {
  const command = new Command(t, ['move', '--root', root, ...args])
  return { ...(await command.ended), out: command.out, err: command.err }
}

const count = `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { clicks: json<number>() },
  table: json<number>(),
  on: { clicks(ctx, n) { ctx.set(n) } },
})`

t.test('it wants to know where to, and something to move', async (t) => {
  const root = testFolder(t)
  t.match(await move(t, root), { code: 64, err: /--to/ })
  for (const url of ['127.0.0.1:9092', 'kafka://', 'kafka://host', 'http://host:1']) {
    t.match(await move(t, root, '--to', url), { code: 64, err: /kafka:\/\/HOST:PORT is wanted/ })
  }
  const to = ['--to', 'kafka://127.0.0.1:1,127.0.0.1:2']
  t.match(await move(t, root, ...to, '--json'), { code: 78, err: /^\{.*no host has run on it/ })
})

t.test('it is refused while a host runs', async (t) => {
  const host = await testHost(t, { functions: { 'count.ts': count } })
  await host.emit('clicks', 'a', 1)
  t.match(await move(t, host.root, '--to', 'kafka://127.0.0.1:1'), {
    code: 75,
    err: /DATA_LOCKED.*stop that process/,
  })
})

t.test('brokers that cannot be reached are asked again until it is stopped', async (t) => {
  const host = await testHost(t, { functions: { 'count.ts': count } })
  await host.emit('clicks', 'a', 1)
  await host.stop()
  const command = new Command(t, ['move', '--root', host.root, '--to', 'kafka://127.0.0.1:1'])
  await until('it asks', () => command.err.includes('asking the cluster'))
  command.child.kill('SIGINT')
  t.match(await command.ended, { code: 130 })
  t.match(command.err, /run the same command again: it goes on where it was/)
})
t.end()
