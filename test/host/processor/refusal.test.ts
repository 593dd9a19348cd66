// Attempts that are refused later, given up, or held in the middle: in whatever order that comes, each record counts once.
import { json } from 'millrace'
import t from 'tap'
import { Random } from '#host/log/memory/random.js'
import type { Attempt } from '#host/processor/context.js'
import type { RunnableDefinition } from '#host/processor/program.js'
import { createMemoryStore } from '#host/tables/memory.js'
import { roughLog } from '#host/testing/options.js'
import { until } from '../../support/until.js'
import { changed } from './changed-store.js'
import { harness, jsonOf, options } from './harness.js'

type Acknowledge = (error?: unknown) => void

const handling = (numbers: (ctx: Attempt, value: unknown) => unknown): RunnableDefinition => ({
  inputs: { numbers: json<number>() },
  outputs: { sums: json() },
  table: json(),
  on: { numbers },
})

/** Those that go on behind all before them. The others have to be what was there before, again from somewhere and on from there. */
function withoutRepetitions(sums: readonly { length: number; value: number }[]) {
  const once: { length: number; value: number }[] = []
  let last = 0
  for (const sum of sums) {
    const before = once[sum.length - 1]
    const isRepeated = before?.value === sum.value && sum.length <= last + 1
    if (!isRepeated) once.push(sum)
    last = sum.length
  }
  return once
}

const turns = async (count: number): Promise<void> => {
  for (let n = 0; n < count; n += 1) await new Promise<void>((resolve) => setImmediate(resolve))
}

// `either`: each version has another one.
for (const delivery of ['exactly-once', 'at-least-once', 'either'] as const) {
  t.test(
    `${delivery}: acknowledged and refused from anywhere, each record counts once and in order`,
    async (t) => {
      for (let seed = 1; seed <= 15; seed += 1) {
        const random = new Random(seed)
        const some = (chance: number) => random.happens(chance)
        const failures = new Map<string, number>()
        const pending: { readonly id: string; readonly done: Acknowledge }[] = []
        const mayFail = (id: string): boolean => {
          const count = failures.get(id) ?? 0
          if (count >= 2 || !some(0.2)) return false
          failures.set(id, count + 1)
          return true
        }
        const acknowledge = () => {
          const [one] = pending.splice(Math.floor(random.upTo(pending.length * 100) / 100), 1)
          one?.done(mayFail(one.id) ? new Error('refused later') : undefined)
        }
        const definition = handling((ctx, value) => {
          const id = `${ctx.partition}/${ctx.offset}`
          if (some(0.5)) pending.push({ id, done: ctx.defer() })
          // From within a handler, before it has returned or waits for anything.
          if (some(0.3)) acknowledge()
          const step = () => {
            if (mayFail(id)) throw new Error('refused')
            const known = (ctx.get() ?? []) as unknown[]
            ctx.set([...known, value])
            ctx.emit('sums', ctx.key, { length: known.length + 1, value })
            if (some(0.2)) acknowledge()
          }
          if (!some(0.4)) return step()
          return turns(random.upTo(4)).then(() => {
            if (some(0.3)) acknowledge()
            step()
          })
        })
        const anyDelivery = () => (some(0.5) ? 'exactly-once' : 'at-least-once')
        const anyOptions = () => ({
          ...options,
          delivery: delivery === 'either' ? anyDelivery() : delivery,
          concurrency: 1 + random.upTo(4),
          retry: { attempts: 1 + random.upTo(3), backoffMs: 1 },
        })
        const h = await harness({
          seed,
          faults: roughLog,
          definition,
          options: anyOptions(),
          attemptGraceMs: 10,
          flush: { maxUnfinished: 2 + random.upTo(20), ...(some(0.3) ? { maxBytes: 300 } : {}) },
        })
        const resumeIfHalted = () => {
          if (h.group.isHalted) h.group.resume()
        }
        await h.start()
        for (let step = 0; step < 150; step += 1) {
          await h.emit('numbers', `key-${random.upTo(4)}`, step)
          if (some(0.5)) acknowledge()
          const fate = random.upTo(100)
          if (fate <= 3) {
            await (some(0.5) ? h.crash() : h.kill())
            if (some(0.3)) h.store = createMemoryStore()
            await h.start()
          } else if (fate <= 10) {
            const swapped = h.group.swap(h.program(definition, anyOptions()))
            if (some(0.5)) await swapped
          } else if (fate <= 12) {
            await h.drain()
            await h.start()
          } else if (fate <= 20) {
            const paused = h.group.pause()
            if (some(0.5)) await paused
          } else if (fate <= 40) h.group.resume()
          else resumeIfHalted()
          if (some(0.2)) await turns(random.upTo(3))
        }
        h.group.resume()
        const helping = setInterval(() => {
          for (let n = 0; n < 3; n += 1) acknowledge()
          resumeIfHalted()
        }, 2)
        await h.settled().finally(() => clearInterval(helping))
        const expected = new Map<string, unknown[]>()
        for (const record of h.records('numbers')) {
          expected.set(record.keyText(), [
            ...(expected.get(record.keyText()) ?? []),
            jsonOf(record),
          ])
        }
        t.strictSame(h.changelog(), expected, `seed ${seed}: the changelog`)
        for (const [key, values] of expected) t.same(h.value(key), values, `seed ${seed}: ${key}`)
        for (const [key, values] of expected) {
          const found = h.records('sums').filter((record) => record.keyText() === key)
          const sums = found.map((record) => jsonOf(record) as { length: number; value: number })
          const once = delivery === 'exactly-once' ? sums : withoutRepetitions(sums)
          const shall = values.map((value, n) => ({ length: n + 1, value }))
          t.same(once, shall, `seed ${seed}: the outputs of ${key}`)
          t.same(sums.at(-1), shall.at(-1), `seed ${seed}: the last output of ${key} is the newest`)
        }
        await h.end()
      }
    },
  )
}

t.test(
  'a handler that refuses its key’s record before it waits rests on nothing of it',
  async (t) => {
    let first: Acknowledge | undefined
    let tries = 0
    const h = await harness({
      definition: handling(async (ctx, value) => {
        const known = (ctx.get() ?? []) as unknown[]
        if (value === 0) {
          tries += 1
          ctx.set([`0, attempt ${tries}`])
          if (tries === 1) first = ctx.defer()
          return
        }
        if (value === 1) first?.(new Error('refused'))
        first = undefined
        ctx.set([...known, value])
        await turns(1)
      }),
      options: { ...options, retry: { attempts: 3, backoffMs: 5 } },
    })
    for (let n = 0; n < 4; n += 1) await h.emit('numbers', 'a', n, { partition: 0 })
    await h.start()
    await h.settled()
    t.same(h.changelog().get('a'), ['0, attempt 2', 1, 2, 3])
  },
)

t.test('refused records are tried again no more at once than may run', async (t) => {
  const acks: Acknowledge[] = []
  let running = 0
  let most = 0
  const h = await harness({
    definition: handling(async (ctx) => {
      running += 1
      most = Math.max(most, running)
      await turns(2)
      running -= 1
      if (acks.length < 20) acks.push(ctx.defer())
    }),
    options: { ...options, concurrency: 2 },
  })
  for (let n = 0; n < 20; n += 1) await h.emit('numbers', `k${n}`, n, { partition: 0 })
  await h.start()
  await until('all are handled', () => acks.length === 20)
  for (const done of acks) done(new Error('the batch failed'))
  await h.settled()
  t.equal(most, 2)
})

t.test('attempts before and after the handler’s end count together', async (t) => {
  let tries = 0
  const h = await harness({
    definition: handling((ctx) => {
      tries += 1
      if (tries < 3) throw new Error('at once')
      const done = ctx.defer()
      setImmediate(() => done(new Error('later')))
    }),
    options: { ...options, retry: { attempts: 3, backoffMs: 1 } },
  })
  await h.emit('numbers', 'a', 1)
  await h.start()
  await until('it halts', () => h.halts.length > 0)
  t.match(h.halts, [{ attempts: 3, error: { message: 'later' } }])
  t.equal(tries, 3)
})

t.test('a pause that is taken back before it has settled gives nothing up', async (t) => {
  const acks: Acknowledge[] = []
  const aborted: boolean[] = []
  const h = await harness({
    definition: handling((ctx) => {
      acks.push(ctx.defer())
      ctx.signal.addEventListener('abort', () => aborted.push(true))
    }),
    attemptGraceMs: 20,
  })
  await h.emit('numbers', 'a', 1)
  await h.start()
  await until('it is handled', () => acks.length === 1)
  const paused = h.group.pause()
  h.group.resume()
  await paused
  await h.group.pause()
  t.equal(acks.length, 1)
  t.same(aborted, [true], 'a pause that stays gives it up, and tells it')
  h.group.resume()
  await until('it is handled anew', () => acks.length === 2)
  acks[1]?.()
  await h.settled()
})

t.test('no attempt is begun while a record boundary is waited for', async (t) => {
  let tries = 0
  let fail: () => void = () => {}
  const h = await harness({
    definition: handling(async () => {
      tries += 1
      await new Promise<void>((resolve) => {
        fail = resolve
      })
      throw new Error('not yet')
    }),
    options: { ...options, retry: { attempts: 5, backoffMs: 1 } },
  })
  await h.emit('numbers', 'a', 1)
  await h.start()
  await until('it is tried', () => tries === 1)
  const swapped = h.group.swap(h.program(handling((ctx) => ctx.set('mended'))))
  fail()
  await swapped
  await h.settled()
  t.equal(tries, 1)
  t.equal(h.value('a'), 'mended')
})

t.test('headers count as what is taken', async (t) => {
  const acks: Acknowledge[] = []
  let handled = 0
  const h = await harness({
    definition: handling((ctx) => {
      handled += 1
      acks.push(ctx.defer())
    }),
    flush: { maxBytes: 50_000 },
  })
  const headers = [['trace', Buffer.alloc(10_000)]] as const
  for (let n = 0; n < 30; n += 1) await h.emit('numbers', 'a', n, { headers })
  await h.start()
  await until('some are handled', () => handled >= 4)
  await turns(50)
  t.ok(handled <= 6, `${handled} records with 10 kB of headers were taken`)
  for (let n = 0; n < 30; n += 1) {
    await until('the next is handled', () => acks[n] !== undefined)
    acks[n]?.()
  }
  await h.settled()
})

t.test('keys that cannot be read at once are one failure, not many', async (t) => {
  const h = await harness({
    definition: handling(async (ctx) => {
      await turns(1)
      ctx.set(1)
      ctx.get()
    }),
    options: { ...options, concurrency: 16 },
  })
  let refusals = 0
  h.store = changed(h.store, {
    partition: (inner) => ({
      get(key) {
        refusals += 1
        if (refusals <= 32) throw new Error('the disk is busy')
        return inner.get(key)
      },
    }),
  })
  for (let n = 0; n < 16; n += 1) await h.emit('numbers', `k${n}`, n, { partition: 0 })
  const definition = handling(async (ctx) => {
    await turns(1)
    ctx.set(Number(ctx.get() ?? 0) + 1)
  })
  await h.start()
  await h.group.swap(h.program(definition, { ...options, concurrency: 16 }))
  await h.settled()
  t.notMatch(h.states, [/detached/])
  t.equal(h.changelog().size, 16)
})
