// Middleware: around every handler and visitor, for each attempt, and no handler is awaited that need not be.
import { defineProcessor, json } from 'millrace'
import { testHost } from 'millrace/testing'
import t from 'tap'
import type { Middleware } from '#host/processor/middleware.js'
import type { RunnableDefinition } from '#host/processor/program.js'
import { Harness, type HarnessOptions, edges as plain } from './harness.js'

const edges = {
  ...plain,
  inputs: [...plain.inputs, { stream: 'sum-loop', topic: 'sum-loop' }],
  loop: { topic: 'sum-loop' },
}
const definition = (wrap: Middleware | Middleware[]): RunnableDefinition => ({
  inputs: { numbers: json<number>() },
  outputs: { sums: json() },
  table: json<number>(),
  loop: json(),
  on: {
    numbers(ctx, value) {
      ctx.set(Number(ctx.get() ?? 0) + Number(value))
      if (value === 1) ctx.loopback(ctx.key, 'again')
    },
  },
  onLoop: () => {},
  visitors: { add: (ctx) => ctx.set(100) },
  wrap,
})

async function harness(given: HarnessOptions): Promise<Harness> {
  const made = new Harness({ edges, ...given })
  t.teardown(() => made.end())
  await made.prepare()
  await made.start()
  return made
}

const visit = (h: Harness) =>
  h.group.visit({ visitor: 'add', argument: { by: 1 }, isCounted: false, progressed: () => {} })

t.test('it goes around inputs, loop and visitors; of several the first is outermost', async (t) => {
  const order: string[] = []
  const named =
    (name: string): Middleware =>
    (next) =>
    (ctx, value) => {
      order.push(`${name} > ${ctx.stream} ${JSON.stringify(value)}`)
      const returned = next(ctx, value)
      order.push(`${name} < ${ctx.stream}`)
      return returned
    }
  const h = await harness({ definition: definition([named('a'), named('b')]) })
  await h.emit('numbers', 'k', 1)
  await h.settled()
  await visit(h)
  t.same(order, [
    ...['a > numbers 1', 'b > numbers 1', 'b < numbers', 'a < numbers'],
    ...['a > sum-loop "again"', 'b > sum-loop "again"', 'b < sum-loop', 'a < sum-loop'],
    ...['a > visit:add {"by":1}', 'b > visit:add {"by":1}', 'b < visit:add', 'a < visit:add'],
  ])
})

t.test('a handler that is not async is not awaited', async (t) => {
  const order: unknown[] = []
  const h = new Harness({
    edges,
    definition: definition((next) => (ctx, value) => {
      order.push(value)
      // It comes as soon as anything is awaited.
      if (order.length === 1) queueMicrotask(() => order.push('awaited'))
      return next(ctx, value)
    }),
  })
  t.teardown(() => h.end())
  await h.prepare()
  for (let n = 2; n < 12; n += 1) await h.emit('numbers', 'k', n, { partition: 0 })
  await h.start()
  await h.settled()
  t.same(order, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 'awaited'])
})

t.test('what it throws is tried again, and it sees each attempt', async (t) => {
  let attempts = 0
  const h = await harness({
    definition: definition((next) => async (ctx, value) => {
      attempts += 1
      await next(ctx, value)
      ctx.emit('sums', ctx.key, attempts)
      if (attempts < 3) throw new Error('not yet')
    }),
  })
  await h.emit('numbers', 'k', 5)
  await h.settled()
  t.equal(attempts, 3)
  t.equal(h.changelog().get('k'), 5, 'a failed attempt leaves no trace')
  t.same(
    h.records('sums').map((record) => String(record.value)),
    ['3'],
  )
  t.same(h.halts, [])
})

t.test('it may answer for the handler: catch what that throws, or not call it', async (t) => {
  const caught: string[] = []
  const h = await harness({
    definition: {
      ...definition((next) => (ctx, value) => {
        if (value === 'not') return undefined
        try {
          return next(ctx, value)
        } catch (error) {
          caught.push(String(error))
          return undefined
        }
      }),
      on: {
        numbers(ctx, value) {
          ctx.set(value)
          if (value === 'bad') throw new Error('bad')
        },
      },
    },
  })
  for (const value of ['good', 'not', 'bad']) await h.emit('numbers', value, value)
  await h.settled()
  t.same(caught, ['Error: bad'])
  t.same([...h.changelog().keys()].sort(), ['bad', 'good'])
})

t.test('middleware that gives no function is refused', async (t) => {
  const h = await harness({ definition: definition((next) => next) })
  const wrong = definition((() => undefined) as unknown as Middleware)
  t.throws(() => h.program(wrong), { code: 'BAD_DEFINITION', message: /gave no function/ })
})

t.test(
  'in the test kit: what it throws is the cause, and what it awaits is waited for',
  async (t) => {
    const thrown = new Error('no luck')
    const counter = defineProcessor({
      inputs: { clicks: json<string>() },
      table: json<string>(),
      retry: { attempts: 1 },
      on: { clicks: (ctx, click) => ctx.set(click) },
      wrap: (next) => async (ctx, value) => {
        await new Promise<void>((resolve) => setImmediate(resolve))
        if (value === 'bad') throw thrown
        await next(ctx, value)
      },
    })
    await using host = await testHost({ counter })
    await host.emit('clicks', 'k', 'good')
    await host.settled()
    t.equal(host.table('counter').get('k'), 'good')
    await host.emit('clicks', 'k', 'bad')
    await t.rejects(host.settled(), { cause: thrown })
  },
)
