// Visits: each key that the table held has its turn once, in turns with the inputs, and what is told of it is what is in the log.

import { json } from 'millrace'
import t from 'tap'
import { HostError } from '#host/errors.js'
import { Random } from '#host/log/memory/random.js'
import { Attempt } from '#host/processor/context.js'
import type { Handler, RunnableDefinition } from '#host/processor/program.js'
import type { VisitProgress, VisitReport } from '#host/processor/visiting.js'
import { createMemoryStore } from '#host/tables/memory.js'
import type { Entry } from '#host/tables/store.js'
import { roughLog } from '#host/testing/options.js'
import { until } from '../../support/until.js'
import { changed } from './changed-store.js'
import { at, type Harness, type HarnessOptions, harness, jsonOf, partitions } from './harness.js'

interface Told {
  readonly key: string
  readonly visit: unknown
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** Sums the numbers of each key; a visit adds a thousand, and says so. `before`: what a visit does first. */
const sums = (before: Handler = () => {}, more: Record<string, Handler> = {}) =>
  ({
    inputs: { numbers: json<number>() },
    outputs: { sums: json() },
    table: json<number>(),
    on: {
      numbers: (ctx, value) =>
        ctx.get() === undefined && value === 0
          ? ctx.delete()
          : ctx.set(Number(ctx.get() ?? 0) + Number(value)),
    },
    visitors: {
      add(ctx, visit) {
        const step = () => {
          ctx.set(Number(ctx.get()) + 1_000)
          ctx.emit('sums', ctx.key, { key: ctx.key, visit })
        }
        const waiting = before(ctx, visit)
        if (waiting instanceof Promise) return waiting.then(step)
        return step()
      },
      ...more,
    },
  }) satisfies RunnableDefinition

async function filled(keys: number, given: HarnessOptions): Promise<Harness> {
  const h = await harness(given)
  await h.start()
  for (let n = 0; n < keys; n += 1) await h.emit('numbers', `key-${n}`, 1)
  await h.settled()
  return h
}

const visit = (
  h: Harness,
  argument: unknown = 1,
  { visitor = 'add', isCounted = false, progressed = (_: VisitProgress) => {} } = {},
): Promise<VisitReport> => h.group.visit({ visitor, argument, isCounted, progressed })

const refusal = async (visiting: Promise<unknown>): Promise<HostError> => {
  const thrown: unknown = await visiting.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (thrown instanceof HostError) return thrown
  throw new Error(`no HostError: ${String(thrown)}`)
}

const told = (h: Harness): Told[] => h.records('sums').map((record) => jsonOf(record) as Told)
const all = Array.from({ length: partitions }, (_, partition) => partition)

/** Visitors wait here until they are let go. */
class Gate {
  readonly #waiting: (() => void)[] = []
  #isOpen = false

  get waiting(): number {
    return this.#waiting.length
  }

  wait(): Promise<void> | undefined {
    if (this.#isOpen) return undefined
    return new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** One. */
  let(): void {
    this.#waiting.shift()?.()
  }

  open(): void {
    this.#isOpen = true
    for (const go of this.#waiting.splice(0)) go()
  }
}

for (const concurrency of [1, 4]) {
  t.test(`every key has its turn once, and is counted (concurrency ${concurrency})`, async (t) => {
    const seen: VisitProgress[] = []
    const h = await filled(100, { definition: sums(), options: at(concurrency) })
    const report = await visit(h, 1, { isCounted: true, progressed: (of) => void seen.push(of) })
    t.strictSame(report, { visited: 100, failed: 0, vanished: 0, partitions: all })
    t.equal(told(h).length, 100)
    t.equal(new Set(told(h).map(({ key }) => key)).size, 100)
    t.equal(h.value('key-7'), 1_001, 'stored when the caller is told')
    t.strictSame(h.changelog().get('key-99'), 1_001)
    t.match(seen[0], { visited: 0 })
    t.match(seen.at(-1), { visited: 100, total: 100 })
    t.equal(h.progress.totalRecords(), 100, 'visits are no records')
  })
}

t.test('an empty table is visited, too', async (t) => {
  const h = await filled(0, { definition: sums() })
  t.match(await visit(h), { visited: 0, failed: 0, vanished: 0 })
})

t.test('a visit can set, delete, emit and loop back, and knows where it is', async (t) => {
  const contexts: Partial<Attempt>[] = []
  const definition: RunnableDefinition = {
    ...sums(),
    loop: json(),
    onLoop: (ctx, value) => ctx.set(value),
    visitors: {
      move(ctx, argument) {
        const { key, stream, partition, offset, headers } = ctx
        contexts.push({ key, stream, partition, offset, headers })
        ctx.loopback(`${(argument as { to: string }).to}-${ctx.key}`, ctx.get())
        ctx.delete()
      },
      spoil(_, argument) {
        ;(argument as { to: string }).to = 'elsewhere'
      },
    },
  }
  const edges = {
    function: 'sum',
    group: 'sum',
    hasher: 'murmur2' as const,
    partitions,
    inputs: [
      { stream: 'numbers', topic: 'numbers' },
      { stream: 'sum-loop', topic: 'sum-loop' },
    ],
    outputs: [],
    table: { topic: 'sum-table' },
    loop: { topic: 'sum-loop' },
    joins: [],
    lookups: [],
  }
  const h = await filled(1, { definition, edges })
  t.match(await visit(h, { to: 'new' }, { visitor: 'move' }), { visited: 1 })
  await h.settled()
  t.strictSame(h.changelog(), new Map([['new-key-0', 1]]))
  t.strictSame(contexts, [
    {
      key: 'key-0',
      stream: 'visit:move',
      partition: contexts[0]?.partition,
      offset: -1,
      headers: {},
    },
  ])
})

t.test('keys that vanish or come meanwhile have no turn', async (t) => {
  const gate = new Gate()
  const handled: string[] = []
  const h = await harness({
    definition: {
      ...sums(() => gate.wait()),
      on: {
        numbers(ctx, value) {
          handled.push(Attempt.key(ctx))
          if (value === 'gone') ctx.delete()
          else ctx.set(value)
        },
      },
    },
  })
  await h.start()
  // Of one partition, in this order.
  const keys = Array.from({ length: 10 }, (_, n) => `a${n}`)
  for (const key of keys) await h.emit('numbers', key, 1, { partition: 0 })
  await h.settled()
  const visiting = visit(h)
  await until('the first is visited', () => gate.waiting === 1)
  await h.emit('numbers', 'a9', 'gone', { partition: 0 })
  await h.emit('numbers', 'z', 1, { partition: 0 })
  await until('they are handled, between visits', () => {
    if (handled.includes('z')) return true
    gate.let()
    return false
  })
  gate.open()
  t.match(await visiting, { visited: 9, failed: 0, vanished: 1 })
  t.same(
    told(h)
      .map(({ key }) => key)
      .sort(),
    keys.slice(0, 9),
  )
  t.strictSame(h.changelog().get('z'), 1)
  t.notOk(h.changelog().has('a9'))
})

t.test('what is handled and not stored yet when it begins is visited, too', async (t) => {
  const definition = sums()
  let handled = 0
  const h = await harness({
    definition: {
      ...definition,
      on: {
        numbers(ctx, value) {
          definition.on.numbers(ctx, value)
          handled += 1
        },
      },
    },
  })
  await h.start()
  for (let n = 0; n < 4; n += 1) h.log.failNext('failed')
  await h.emit('numbers', 'a', 1)
  await until('it is handled', () => handled === 1)
  t.equal(h.value('a'), undefined, 'and waits for its flush')
  t.match(await visit(h), { visited: 1 })
  t.equal(h.value('a'), 1_001)
})

t.test('the table is read page by page, as the visit goes on', async (t) => {
  const memory = createMemoryStore()
  let read = 0
  const gate = new Gate()
  const store = changed(memory, {
    partition: (partition) => ({
      async *range(bounds) {
        const entries: Entry[] = []
        for await (const page of partition.range(bounds)) entries.push(...page)
        for (let n = 0; n < entries.length; n += 10) {
          read += 1
          yield entries.slice(n, n + 10)
        }
      },
    }),
  })
  const h = await harness({ definition: sums(() => gate.wait()) })
  h.store = store
  await h.start()
  for (let n = 0; n < 300; n += 1) await h.emit('numbers', `key-${n}`, 1)
  await h.settled()
  read = 0
  const visiting = visit(h)
  await until('each partition waits at its first key', () => gate.waiting === partitions)
  for (let turns = 0; turns < 50; turns += 1) await turn()
  t.ok(read <= 2 * partitions, `${read} pages are read`)
  gate.open()
  t.match(await visiting, { visited: 300 })
})

t.test('a long visit holds up no input, and inputs hold up no visit', async (t) => {
  const order: string[] = []
  const h = await harness({
    definition: {
      ...sums((ctx) => void order.push(`visit ${ctx.key}`)),
      on: {
        async numbers(ctx, value) {
          order.push(`number ${ctx.key}`)
          await turn()
          ctx.set(value)
        },
      },
    },
  })
  await h.start()
  for (let n = 0; n < 300; n += 1) await h.emit('numbers', `k${n}`, 1, { partition: 0 })
  await h.settled()
  await h.group.pause()
  for (let n = 0; n < 300; n += 1) await h.emit('numbers', `k${n}`, 2, { partition: 0 })
  await h.log.quiet()
  order.length = 0
  h.group.resume()
  const visiting = visit(h)
  await visiting
  await h.settled()
  const numbers = order.filter((each) => each.startsWith('number'))
  const visits = order.filter((each) => each.startsWith('visit'))
  t.equal(numbers.length, 300)
  t.equal(visits.length, 300)
  const from = order.findIndex((each) => each.startsWith('visit'))
  const until = order.findLastIndex((each) => each.startsWith('number'))
  const between = order.slice(from, Math.min(until, from + 100))
  const share = between.filter((each) => each.startsWith('visit')).length / between.length
  t.ok(share > 0.4 && share < 0.6, `they take turns: ${share}`)
})

t.test('a visit of a key waits for its records, and its records for the visit', async (t) => {
  const running = new Map<string, number>()
  const log: string[] = []
  const alone = async (ctx: Attempt, what: string) => {
    t.notOk(running.get(Attempt.key(ctx)), 'nothing else of the key runs')
    running.set(Attempt.key(ctx), 1)
    log.push(`${what} ${ctx.key}`)
    for (let turns = 0; turns < 3; turns += 1) await turn()
    running.delete(Attempt.key(ctx))
  }
  const h = await harness({
    definition: {
      ...sums((ctx) => alone(ctx, 'visit')),
      on: {
        async numbers(ctx, value) {
          await alone(ctx, 'number')
          ctx.set(Number(ctx.get() ?? 0) + Number(value))
        },
      },
    },
    options: at(8),
  })
  await h.start()
  for (let n = 0; n < 20; n += 1) await h.emit('numbers', `k${n}`, 1)
  await h.settled()
  const visiting = visit(h)
  for (let n = 0; n < 60; n += 1) await h.emit('numbers', `k${n % 20}`, 1)
  t.match(await visiting, { visited: 20 })
  await h.settled()
  for (let n = 0; n < 20; n += 1) t.equal(h.value(`k${n}`), 1_004)
})

t.test('two visits at once: the second is refused, and may come after', async (t) => {
  const gate = new Gate()
  const h = await filled(3, { definition: sums(() => gate.wait()) })
  const first = visit(h, 1)
  t.match(await refusal(visit(h, 2)), { code: 'VISIT_RUNNING', retryable: true })
  gate.open()
  t.match(await first, { visited: 3 })
  t.match(await visit(h, 3), { visited: 3 })
  t.strictSame(
    told(h)
      .map((each) => each.visit)
      .sort(),
    [1, 1, 1, 3, 3, 3],
  )
})

t.test('who expects other partitions than there are is refused, with nothing done', async (t) => {
  const h = await filled(3, { definition: sums() })
  const asked = (partitions: readonly number[]) =>
    h.group.visit({ visitor: 'add', argument: 1, isCounted: false, progressed, partitions })
  const progressed = () => {}
  for (const wrong of [all.slice(1), [...all, partitions], []]) {
    t.match(await refusal(asked(wrong)), { code: 'RECOVERING', message: /are to be visited/ })
  }
  t.same(told(h), [])
  t.match(await asked(all), { visited: 3, partitions: all })
})

t.test('a visitor that does not exist is refused, with those that do', async (t) => {
  const h = await filled(1, { definition: sums() })
  const error = await refusal(visit(h, 1, { visitor: 'ad' }))
  t.match(error, {
    code: 'UNKNOWN_VISITOR',
    message: /no visitor "ad", did you mean "add"\? \(there are: add\)/,
  })
})

for (const concurrency of [1, 4]) {
  t.test(
    `a visitor that throws ends the visit, at a key with a name (concurrency ${concurrency})`,
    async (t) => {
      let attempts = 0
      const h = await filled(60, {
        definition: sums((ctx) => {
          if (ctx.key !== 'key-31') return
          attempts += 1
          ctx.emit('sums', ctx.key, { key: 'of a failed attempt' })
          throw new Error('no luck')
        }),
        options: at(concurrency),
      })
      const error = await refusal(visit(h))
      t.match(error, {
        code: 'VISIT_FAILED',
        message:
          /"add" of sum has failed at the key "key-31" \(partition \d\), after 3 attempts: no luck; \d+ keys were visited/,
        details: { key: 'key-31', exact: true, failed: 0, attempts: 3 },
        cause: { message: 'no luck' },
      })
      t.equal(attempts, 3)
      const { visited } = error.details as { visited: number }
      t.ok(visited < 60)
      t.equal(told(h).length, visited, 'what is told is in the log, and nothing else')
      t.same(h.halts, [], 'the function goes on')
      await h.emit('numbers', 'key-31', 1)
      await h.settled()
      t.equal(h.value('key-31'), 2)
      t.match(await refusal(visit(h)), { code: 'VISIT_FAILED' }, 'another may begin')
    },
  )
}

t.test('with onError: skip a failed key is counted, and the visit goes on', async (t) => {
  const h = await filled(60, {
    definition: sums((ctx) => {
      if (ctx.key === 'key-31' || ctx.key === 'key-32') throw new Error('no luck')
    }),
    options: at(1, { onError: 'skip' }),
  })
  t.match(await visit(h), { visited: 58, failed: 2, vanished: 0 })
  t.match(h.skips, [{ stream: 'visit:add', attempts: 3 }, {}])
  t.equal(told(h).length, 58)
})

t.test(
  'more than may wait for a flush, or be unfinished: the visit waits, and goes on',
  async (t) => {
    const h = await harness({
      definition: sums((ctx) => {
        const done = ctx.defer()
        void turn().then(() => done())
      }),
      options: at(2),
      flush: { maxBytes: 2_000, maxUnfinished: 3 },
    })
    await h.start()
    for (let n = 0; n < 500; n += 1) await h.emit('numbers', `key-${n}`, 1)
    await h.settled()
    t.match(await visit(h), { visited: 500 })
    t.equal(told(h).length, 500)
  },
)

t.test('a log that refuses flushes makes a visit wait, and counts nothing twice', async (t) => {
  const h = await filled(30, { definition: sums() })
  for (let n = 0; n < 5; n += 1) h.log.failNext('failed')
  t.match(await visit(h), { visited: 30 })
  t.equal(told(h).length, 30)
})

/** What ends it; afterwards the function goes on, and another visit comes to its end. */
const ends: Record<
  string,
  { reason: string; end(h: Harness): Promise<unknown>; goOn?(h: Harness): Promise<unknown> }
> = {
  'the end of its caller': { reason: 'cancelled', end: (h) => h.group.endVisit('cancelled') },
  'a swap': { reason: 'swapped', end: (h) => h.group.swap(h.program()) },
  'a pause': {
    reason: 'paused',
    end: (h) => h.group.pause(),
    goOn: async (h) => h.group.resume(),
  },
  'a shutdown, or a rebalance': {
    reason: 'drained',
    end: (h) => h.drain(),
    goOn: (h) => h.start(),
  },
  'the end of its thread': { reason: 'drained', end: (h) => h.crash(), goOn: (h) => h.start() },
}
for (const [what, { reason, end, goOn = async () => {} }] of Object.entries(ends)) {
  for (const concurrency of [1, 4]) {
    t.test(
      `${what} ends a visit, and the caller is told how far it came (concurrency ${concurrency})`,
      async (t) => {
        const gate = new Gate()
        let visits = 0
        const definition = sums(() => {
          visits += 1
          return visits > 20 ? gate.wait() : undefined
        })
        const h = await filled(100, { definition, options: at(concurrency) })
        const visiting = refusal(visit(h))
        await until('some were visited', () => gate.waiting >= partitions)
        const ended = end(h)
        gate.open()
        const error = await visiting
        await ended
        t.match(error, {
          code: 'VISIT_ABORTED',
          retryable: false,
          details: { reason, exact: true, partitions: all },
        })
        const { visited } = error.details as { visited: number }
        t.ok(visited < 100, `${visited}`)
        t.ok(reason === 'drained' || visited >= 20, `${visited}`)
        t.equal(told(h).length, visited, 'what is told is in the log, and nothing else')
        t.equal([...h.changelog().values()].filter((sum) => sum === 1_001).length, visited)
        await goOn(h)
        await h.settled()
        t.match(await visit(h, 2), { visited: 100 })
        t.equal(told(h).length, visited + 100)
      },
    )
  }
}

for (const what of ['a swap', 'the end of its caller'] as const) {
  for (const kind of ['a promise', 'an acknowledgement', 'a retry'] as const) {
    for (const concurrency of [1, 4]) {
      t.test(
        `a visit that waits for ${kind} is given up at ${what} (concurrency ${concurrency})`,
        async (t) => {
          const given: string[] = []
          const h = await filled(30, {
            definition: sums((ctx) => {
              if (kind === 'a retry') throw new Error('not yet')
              if (kind === 'an acknowledgement') return void ctx.defer()
              return new Promise((_, reject) => {
                ctx.signal.addEventListener('abort', () => {
                  given.push(Attempt.key(ctx))
                  reject(new Error('given up'))
                })
              })
            }),
            options: at(concurrency, { retry: { attempts: 1_000, backoffMs: 1_000_000 } }),
            attemptGraceMs: 1,
          })
          const visiting = refusal(visit(h))
          await turn()
          if (what === 'a swap') await h.group.swap(h.program(sums(), at(concurrency)))
          else await h.group.endVisit('cancelled')
          t.match(await visiting, {
            code: 'VISIT_ABORTED',
            details: { visited: 0, vanished: 0, failed: 0, exact: true },
          })
          t.equal(told(h).length, 0)
          await h.group.swap(h.program(sums(), at(concurrency)))
          for (let n = 0; n < 30; n += 1) await h.emit('numbers', `key-${n}`, 1)
          await h.settled()
          t.ok(
            [...h.changelog().values()].every((sum) => sum === 2),
            'records go on as before',
          )
          t.match(await visit(h), { visited: 30 })
        },
      )
    }
  }
}

t.test('a function that halts at a record ends its visit', async (t) => {
  let visits = 0
  const h = await filled(300, {
    definition: {
      ...sums(() => {
        visits += 1
        return turn()
      }),
      on: {
        numbers(ctx, value) {
          if (value === 'bad') throw new Error('bad')
          ctx.set(1)
        },
      },
    },
    options: at(1, { retry: { attempts: 1, backoffMs: 1 } }),
  })
  const visiting = refusal(visit(h))
  await until('it is under way', () => visits > 3)
  await h.emit('numbers', 'another', 'bad')
  const error = await visiting
  t.match(error, { code: 'VISIT_ABORTED', details: { reason: 'halted', exact: true } })
  await until('it has halted', () => h.halts.length === 1)
  t.equal(told(h).length, (error.details as { visited: number }).visited)
  t.match(await refusal(visit(h)), { code: 'NOT_RUNNING', message: /has halted/ })
})

t.test('another owner that takes a partition over ends the visit', async (t) => {
  const gate = new Gate()
  let visits = 0
  const h = await filled(60, {
    definition: sums(() => {
      visits += 1
      return visits > 12 ? gate.wait() : undefined
    }),
  })
  const visiting = refusal(visit(h))
  await until('some were visited', () => gate.waiting === partitions)
  await using _other = await h.log.openWriter('sum', 1)
  gate.open()
  const error = await visiting
  t.match(error, { code: 'VISIT_ABORTED', details: { reason: 'lost' } })
  t.equal(told(h).length, (error.details as { visited: number }).visited)
})

t.test(
  'a flush of unknown outcome ends it, and it is said that the count is the least',
  async (t) => {
    for (const written of [true, false]) {
      const h = await filled(30, { definition: sums(), flush: { intervalMs: 10_000 } })
      h.log.failNext('unknown', { written })
      const error = await refusal(visit(h))
      t.match(error, {
        code: 'VISIT_ABORTED',
        message: /at least \d+ keys? w/,
        details: { reason: 'lost', exact: false },
      })
      await h.settled()
      const { visited } = error.details as { visited: number }
      t.equal(told(h).length > visited, written)
    }
  },
)

t.test('a function that is paused, or not open, is not visited', async (t) => {
  const h = await filled(3, { definition: sums() })
  await h.group.pause()
  t.match(await refusal(visit(h)), { code: 'NOT_RUNNING', message: /is paused/ })
  h.group.resume()
  const swapping = h.group.swap(h.program())
  t.match(await refusal(visit(h)), { code: 'RECOVERING', retryable: true })
  await swapping
  t.match(await visit(h), { visited: 3 })
})

for (const kind of ['sync', 'concurrency', 'defer'] as const) {
  t.test(`${kind}: what is told of a visit is what the log has, whatever happens`, async (t) => {
    let done = 0
    for (let seed = 1; seed <= 15; seed += 1) {
      const random = new Random(seed)
      const some = (chance: number) => random.happens(chance)
      const failed = new Set<string>()
      const pause = async () => {
        for (let turns = random.upTo(4); turns > 0; turns -= 1) await turn()
      }
      const before: Handler = (ctx, value) => {
        const id = `${ctx.key}/${ctx.offset}/${String(value)}`
        const mayFail = !failed.has(id) && some(0.1)
        if (mayFail) failed.add(id)
        if (kind === 'defer' && some(0.5)) {
          const acknowledge = ctx.defer()
          void pause().then(() => acknowledge(mayFail ? new Error('refused later') : undefined))
        } else if (mayFail) throw new Error('refused')
        return kind !== 'sync' && some(0.5) ? pause() : undefined
      }
      const definition = sums(before)
      const { numbers } = definition.on
      const h = await harness({
        seed,
        faults: roughLog,
        definition: {
          ...definition,
          on: {
            numbers(ctx, value) {
              const waiting = before(ctx, value)
              if (waiting instanceof Promise) return waiting.then(() => numbers(ctx, value))
              return numbers(ctx, value)
            },
          },
        },
        options: at(kind === 'sync' ? 1 : 1 + random.upTo(4)),
        flush: { maxUnfinished: 2 + random.upTo(20) },
      })
      await h.start()
      const outcomes: Promise<{ visit: number; least: number; exact: boolean }>[] = []
      for (let step = 0; step < 120; step += 1) {
        await h.emit('numbers', `key-${random.upTo(12)}`, 1)
        const fate = random.upTo(100)
        if (fate <= 5) {
          await (some(0.5) ? h.crash() : h.kill())
          await h.start()
        } else if (fate <= 9) await h.group.swap(h.program())
        else if (fate <= 12) {
          await h.drain()
          await h.start()
        } else if (fate <= 30) {
          outcomes.push(
            visit(h, step).then(
              ({ visited }) => {
                done += 1
                return { visit: step, least: visited, exact: true }
              },
              (error: HostError) => {
                const { visited = 0, exact = true } = (error.details ?? {}) as Partial<{
                  visited: number
                  exact: boolean
                }>
                return { visit: step, least: visited, exact }
              },
            ),
          )
        } else if (fate <= 33) await h.group.endVisit('cancelled')
      }
      await Promise.all(outcomes)
      await h.settled()
      const found = new Map<unknown, string[]>()
      for (const { key, visit } of told(h)) found.set(visit, [...(found.get(visit) ?? []), key])
      for (const { visit, least, exact } of await Promise.all(outcomes)) {
        const keys = found.get(visit) ?? []
        if (new Set(keys).size !== keys.length) t.fail(`seed ${seed}: a key was visited twice`)
        const isRight = exact ? keys.length === least : keys.length >= least
        if (!isRight) t.fail(`seed ${seed}, visit ${visit}: told ${least}, found ${keys.length}`)
      }
      // An independent account of the table: each number, and a thousand for each visit that the log has.
      const expected = new Map<string, number>()
      for (const record of h.records('numbers')) {
        const key = String(record.key)
        expected.set(key, (expected.get(key) ?? 0) + Number(jsonOf(record)))
      }
      for (const { key } of told(h)) expected.set(key, (expected.get(key) ?? 0) + 1_000)
      t.strictSame(h.changelog(), expected, `seed ${seed}: the table`)
      await h.end()
    }
    t.ok(done > 15, `${done} visits came to their end`)
  })
}
