// A function as the main thread holds it, when its thread, its store or its bundle fails it.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type HostUnderTest, testHost } from '../../support/host.js'
import { until } from '../../support/until.js'

/** Counts by key, as often as `step`; runs `handle` before, `load` when it is loaded. */
const count = ({ step = 1, handle = '', load = '' } = {}) => `
import { writeFileSync } from 'node:fs'
import { workerData } from 'node:worker_threads'
import { defineProcessor, json } from 'millrace'
const isProbe = workerData?.edges === undefined
void [writeFileSync, isProbe]
${load}
export default defineProcessor({
  inputs: { clicks: json<string>() },
  table: json<number>(),
  on: {
    clicks(ctx, click) {
      ${handle}
      ctx.set((ctx.get() ?? 0) + ${step})
    },
  },
})`

/** Tells the test by a file that it has come here. */
const mark = (host: HostUnderTest, name: string) =>
  `writeFileSync(${JSON.stringify(join(host.root, name))}, '')`
const marked = (host: HostUnderTest, name: string) =>
  until(`${name} was reached`, () => existsSync(join(host.root, name)))

const quick = { MILLRACE_LIMITS_DRAIN_MS: '200' }

/** A host whose function counts, and is now in a handler that never returns. */
async function stuckHost(t: Test): Promise<{ host: HostUnderTest; token: string }> {
  const host = await testHost(t, { functions: { 'counter.ts': count() }, env: quick })
  host.save(
    'counter.ts',
    count({ handle: `if (click === 'hang') { ${mark(host, 'hangs')}; for (;;) {} }` }),
  )
  await host.untilStatus('counter', ({ swaps }) => swaps === 1)
  await host.view('counter', 'ada', await host.emit('clicks', 'ada', 'fine'))
  const token = await host.emit('clicks', 'ada', 'hang')
  await marked(host, 'hangs')
  return { host, token }
}

t.test('a save is taken though the running handler never returns', async (t) => {
  const { host, token } = await stuckHost(t)
  host.save('counter.ts', count({ step: 10 }))
  t.equal(await host.view('counter', 'ada', token), 11, 'and it takes the record up, once')
  t.match(await host.status('counter'), { state: 'running', swaps: 2, error: null })
  t.match(host.lines.join(''), /did not come to a record boundary within 200 ms/)
})

t.test('a host stops though a save waits for a handler that never returns', async (t) => {
  const { host, token } = await stuckHost(t)
  host.save('counter.ts', count({ step: 10, load: `if (isProbe) ${mark(host, 'probed')}` }))
  await marked(host, 'probed')
  await host.stop()
  await host.start()
  t.equal(await host.view('counter', 'ada', token), 11)
})

t.test('a bundle that hangs at load in the thread alone makes room for the next', async (t) => {
  const host = await testHost(t, { functions: { 'counter.ts': count() }, env: quick })
  host.save('counter.ts', count({ load: 'if (!isProbe) for (;;) {}' }))
  await host.untilStatus('counter', ({ swaps }) => swaps === 1)
  host.save('counter.ts', count({ step: 5 }))
  await host.untilStatus('counter', ({ swaps }) => swaps === 2)
  t.equal(await host.view('counter', 'ada', await host.emit('clicks', 'ada', 'x')), 5)
})
