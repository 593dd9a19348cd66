// Visits in the test kit: with the very errors that visitors throw, and with what ends them.
import { defineProcessor, json } from 'millrace'
import { testHost } from 'millrace/testing'
import t from 'tap'
import type { HostError } from '#host/errors.js'

const thrown = new Error('no luck')
const counter = (add: (key: string) => void | Promise<void> = () => {}) =>
  defineProcessor({
    inputs: { clicks: json<number>() },
    table: json<number>(),
    outputs: { seen: json<unknown>() },
    on: { clicks: (ctx, n) => ctx.set((ctx.get() ?? 0) + n) },
    visitors: {
      async add(ctx, argument: { n: number }) {
        await add(ctx.key)
        ctx.set((ctx.get() ?? 0) + argument.n)
        ctx.emit('seen', ctx.key, ctx.timestamp)
      },
    },
  })

async function filled(definition: ReturnType<typeof counter>) {
  const host = await testHost({ counter: definition }, { seed: 3, faults: true })
  t.teardown(() => host.close())
  for (let n = 0; n < 20; n += 1) await host.emit('clicks', `k${n}`, 1)
  await host.settled()
  return host
}

t.test('every key is visited once, with the argument, in virtual time', async (t) => {
  const host = await filled(counter())
  const counts = await host.visit('counter', 'add', { n: 5 }).catch(async (error: HostError) => {
    // The log may lose a flush's outcome, by its seed: it is said.
    t.match(error, { code: 'VISIT_ABORTED', details: { reason: 'lost' } })
    await host.settled()
    return null
  })
  await host.settled()
  const values = await Promise.all(
    Array.from({ length: 20 }, async (_, n) => host.table('counter').get(`k${n}`)),
  )
  if (counts !== null) {
    t.same(counts, { visited: 20, failed: 0, vanished: 0 })
    t.ok(values.every((value) => value === 6))
  }
  t.equal(host.stream('seen').size, values.filter((value) => value === 6).length)
})

t.test('a visitor that throws is the cause, and the function goes on', async (t) => {
  const host = await testHost({
    counter: counter((key) => {
      if (key === 'k1') throw thrown
    }),
  })
  t.teardown(() => host.close())
  for (let n = 0; n < 3; n += 1) await host.emit('clicks', `k${n}`, 1)
  await host.settled()
  const error = await host.visit('counter', 'add', { n: 1 }).then(
    () => undefined,
    (error: HostError) => error,
  )
  t.match(error, { code: 'VISIT_FAILED', message: /at the key "k1".*no luck/ })
  t.equal(error?.cause, thrown)
  await host.emit('clicks', 'k1', 1)
  await host.settled()
  t.equal(host.table('counter').get('k1'), 2)
})

for (const what of ['crash', 'rebalance', 'pause', 'swap'] as const) {
  t.test(`a ${what} ends a visit`, async (t) => {
    let visits = 0
    const slow = counter(async () => {
      visits += 1
      await new Promise<void>((resolve) => setImmediate(resolve))
    })
    const host = await testHost({ counter: slow })
    t.teardown(() => host.close())
    for (let n = 0; n < 200; n += 1) await host.emit('clicks', `k${n}`, 1)
    await host.settled()
    const visiting = host.visit('counter', 'add', { n: 1 }).then(
      () => undefined,
      (error: HostError) => error,
    )
    while (visits < 8) await new Promise<void>((resolve) => setImmediate(resolve))
    if (what === 'pause') await host.pause('counter')
    else if (what === 'swap') await host.swap({ counter: slow })
    else await host[what]()
    const error = await visiting
    if (what === 'pause') host.resume('counter')
    await host.settled()
    const done = host.stream('seen').size
    t.ok(done < 200)
    t.match(error, {
      code: 'VISIT_ABORTED',
      details: what === 'crash' ? {} : { exact: true, visited: done },
    })
    t.match(await host.visit('counter', 'add', { n: 1 }), { visited: 200 })
  })
}

t.test('names that are not there', async (t) => {
  const host = await filled(counter())
  await t.rejects(host.visit('counter', 'ad'), {
    message: /no visitor of counter "ad", did you mean "add"/,
  })
})
