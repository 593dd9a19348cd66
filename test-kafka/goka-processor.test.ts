// What Goka's own system tests show of a processor, on a live broker, under the same names.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import t, { type Test } from 'tap'
import { testFolder } from '../test/support/folder.js'
import { HostUnderTest } from '../test/support/host.js'
import { Clicker, Instances } from '../test/support/kafka/instances.js'
import { brokerAddress, ownName } from '../test/support/kafka/shared.js'
import { click, running, sumCase } from '../test/support/kafka/sum.js'
import { until } from '../test/support/until.js'

const address = await brokerAddress(t)

interface Setting {
  readonly functions: (root: string) => Readonly<Record<string, string>>
  readonly partitions?: number
  readonly namespace?: string
}

/** `root`: where it has its folder. */
function hostOf(
  t: Test,
  name: string,
  { functions, partitions = 1, namespace }: Setting,
  root = testFolder(t),
) {
  const host = new HostUnderTest(join(root, name), {
    functions: functions(root),
    env: {
      MILLRACE_LOG_BROKERS: address,
      MILLRACE_NAMESPACE: namespace ?? `${ownName(name)}-`,
      MILLRACE_LOG_PARTITIONS: String(partitions),
    },
  })
  t.teardown(() => host.stop())
  return { host, root }
}

const resume = (host: HostUnderTest, name: string) =>
  fetch(`${host.host.url}/functions/${name}/resume`, { method: 'POST' })

/** Notes down what it is given before it does anything with it. */
const noting = (root: string) => `
import { appendFileSync, existsSync } from 'node:fs'
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { clicks: json<number>() },
  table: json<number>(),
  retry: { attempts: 1 },
  on: {
    clicks(ctx, by) {
      appendFileSync(${JSON.stringify(join(root, 'seen'))}, by + ' ')
      if (by === 5 && !existsSync(${JSON.stringify(join(root, 'mended'))})) throw new Error('no five')
      ctx.set((ctx.get() ?? 0) + by)
    },
  },
})`

t.test('a failed message is seen again, earlier ones are not', async (t) => {
  const { host, root } = hostOf(t, 'failed', {
    functions: (root) => ({ 'counter.ts': noting(root) }),
  })
  const seen = () => readFileSync(join(root, 'seen'), 'utf8').trim()
  await host.start()
  await host.untilStatus('counter', 'running')
  const token = await host.emitAll(
    'clicks',
    [1, 2, 3, 4, 5, 6, 7].map((value) => ({ key: 'ada', value })),
  )
  await host.untilStatus('counter', 'halted')
  t.equal(seen(), '1 2 3 4 5')
  await host.stop()
  await host.start()
  await host.untilStatus('counter', 'halted')
  t.equal(seen(), '1 2 3 4 5 5', 'by the next run, too')
  writeFileSync(join(root, 'mended'), '')
  await resume(host, 'counter')
  t.equal(await host.view('counter', 'ada', token), 28)
  t.equal(seen(), '1 2 3 4 5 5 5 6 7')
})

t.test('restart three times, the sum is right', async (t) => {
  const host = sumCase(t, 'thrice', { MILLRACE_LOG_BROKERS: address }).host('one')
  for (let run = 1; run <= 4; run += 1) {
    await running(host)
    await click(host, { ada: run, bob: 10 })
    t.equal(await host.view('click-count', 'ada'), (run * (run + 1)) / 2)
    t.equal(await host.view('click-count', 'bob'), run * 10)
    await host.stop()
  }
})

t.test('eleven stops and starts under a live emitter lose nothing', async (t) => {
  const instances = new Instances(t, 'eleven', { address, partitions: 4 })
  await instances.start('a')
  await instances.shared()
  const topic = `${instances.namespace}clicks`
  const clicker = await Clicker.on(t, address, { topic, keys: 20 })
  for (let time = 0; time < 11; time += 1) {
    await clicker.more(100)
    await instances.stop('a')
    await instances.start('a')
  }
  await instances.counted(await clicker.stop())
})

/** Fails at the one click in thousands, in the middle of the others. */
const failing = (fail: string) => `
import { defineProcessor, json } from 'millrace'
export default defineProcessor({
  inputs: { clicks: json<number>() },
  table: json<number>(),
  retry: { attempts: 1 },
  concurrency: 4,
  on: {
    async clicks(ctx, by) {
      if (by === 0) ${fail}
      await undefined
      ctx.set((ctx.get() ?? 0) + by)
    },
  },
})`

t.test('callback failure and panic under saturation end the run, not hang it', async (t) => {
  const fails = {
    failure: { by: "ctx.fail('enough')", code: 'RECORD_FAILED' },
    panic: { by: 'Object(undefined).missing.field()', code: 'HANDLER_FAILED' },
    rejection: { by: "await Promise.reject(new Error('enough'))", code: 'HANDLER_FAILED' },
  }
  const { host } = hostOf(t, 'saturated', {
    partitions: 4,
    functions: () => ({
      'whole.ts': failing('ctx.delete()'),
      ...Object.fromEntries(
        Object.entries(fails).map(([name, { by }]) => [`${name}.ts`, failing(by)]),
      ),
    }),
  })
  await host.start()
  for (const name of [...Object.keys(fails), 'whole']) await host.untilStatus(name, 'running')
  const lines = Array.from({ length: 20_000 }, (_, n) => ({
    key: `k${n % 100}`,
    value: n === 10_000 ? 0 : 1,
  }))
  await host.emitAll('clicks', lines)
  for (const [name, { code }] of Object.entries(fails)) {
    const { error } = await host.untilStatus(name, 'halted')
    t.match(error, { code }, name)
  }
  // The run is over for them alone: others go on, and more is taken.
  const token = await host.emitAll('clicks', lines)
  t.equal(await host.view('whole', 'k1', token), 400)
  await host.stop()
  t.pass('it stops')
})

const five = ['a', 'b', 'c', 'd', 'e'] as const
const byFive = `
import { defineProcessor, json } from 'millrace'
const inputs = { ${five.map((name) => `${name}: json<number>()`).join(', ')} }
export default defineProcessor({
  inputs,
  table: json<Record<string, number>>(),
  on: {
    ${five
      .map(
        (name) => `${name}(ctx, by) {
      const sums = ctx.get() ?? {}
      ctx.set({ ...sums, ${name}: (sums.${name} ?? 0) + by })
    },`,
      )
      .join('\n    ')}
  },
})`

t.test('five inputs, one key: view and processor agree', async (t) => {
  const namespace = `${ownName('five')}-`
  const functions = () => ({ 'five.ts': byFive })
  const { host, root } = hostOf(t, 'processor', { functions, namespace })
  const copy = `
import { defineView, json } from 'millrace'
export default defineView({ table: '${namespace}five-table', codec: json() })`
  const { host: other } = hostOf(t, 'view', { functions: () => ({ 'copy.ts': copy }) }, root)
  await host.start()
  await host.untilStatus('five', 'running')
  await other.start()
  await other.untilStatus('copy', 'running')
  const emits = five.map(async (stream, at) => {
    for (let n = 0; n < 20; n += 1) await host.emit(stream, 'ada', at + 1)
    return await host.emit(stream, 'ada', at + 1)
  })
  for (const token of await Promise.all(emits)) await host.view('five', 'ada', token)
  const expected = { a: 21, b: 42, c: 63, d: 84, e: 105 }
  t.same(await host.view('five', 'ada'), expected)
  await until('the view has the same', async () => {
    const { status, body } = await other.get('/views/copy/ada')
    return status === 200 && isDeepStrictEqual(body, expected)
  })
})
