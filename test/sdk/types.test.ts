// The types of a definition: what compiles, and what must not; `tsc` is the test, and the test makes sure that it is asked.

import { type } from 'arktype'
import {
  type BaseContext,
  bytes,
  type Codec,
  type Context,
  defineProcessor,
  defineView,
  int64,
  json,
  type KeyOf,
  keyed,
  keyOf,
  type Middleware,
  type Next,
  type OpenStore,
  type OutOf,
  type ProcessorDefinition,
  string,
  type TableContext,
  topic,
  topicTable,
  type ViewDefinition,
} from 'millrace'
import t from 'tap'
import * as v from 'valibot'
import { z } from 'zod'
import { isTypeChecked } from '../support/type-checked.js'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const holds = <T extends true>(): T | undefined => undefined

const date: Codec<Date> = {
  encode: (value) => new TextEncoder().encode(value.toISOString()),
  decode: (raw) => new Date(new TextDecoder().decode(raw)),
}
const parsed = z.object({
  at: z.string().transform((text) => new Date(text)),
  n: z.number().default(0),
})

const anywhere: Middleware = (next) => async (ctx, value) => {
  ctx.log.info(ctx.stream)
  await next(ctx, value)
}
const inAnyTable =
  <Ctx extends TableContext<unknown, never>>(next: Next<Ctx>): Next<Ctx> =>
  (ctx, value) => {
    if (ctx.get() !== undefined) return next(ctx, value)
  }

const emptyStore: OpenStore = {
  get: () => undefined,
  write() {},
  *range() {},
  async close() {},
}

/** So too of views. */
function rightViews(): ViewDefinition[] {
  const plain = defineView({ table: 'shop.prices', codec: int64, hasher: 'fnv1a', revision: 2 })
  holds<Same<typeof plain, ViewDefinition<typeof int64>>>()
  const updated = defineView({
    table: 'shop.prices',
    codec: json<{ cents: number }>(),
    update(ctx, price) {
      holds<Same<typeof price, { cents: number } | null>>()
      holds<Same<ReturnType<typeof ctx.get>, { cents: number } | undefined>>()
      if (price === null) ctx.delete()
      else ctx.set({ cents: price.cents + Number(ctx.headers.fee ?? 0) })
    },
  })
  const stored = defineView({
    table: 'shop.prices',
    codec: string,
    stored: int64,
    update(ctx, price) {
      holds<Same<typeof price, string | null>>()
      holds<Same<ReturnType<typeof ctx.get>, bigint | undefined>>()
      ctx.set(ctx.offset)
    },
  })
  return [plain, updated, stored]
}

/** Never called: that it compiles is the point. */
function rightUses(): ProcessorDefinition[] {
  const full = defineProcessor({
    inputs: {
      clicks: json<{ page: string }>(),
      totals: int64,
      names: string,
      raw: bytes,
      days: date,
    },
    table: json<{ count: number }>(),
    outputs: { pages: json<{ page: string }>(), sums: int64, parsed: json(parsed) },
    loop: string,
    on: {
      clicks(ctx, click) {
        holds<Same<typeof click, { page: string }>>()
        ctx.set({ count: (ctx.get()?.count ?? 0) + 1 })
        ctx.emit('pages', click.page, { page: ctx.key }, { headers: { a: 'b' }, timestamp: 1 })
        ctx.emit('pages', click.page, null)
        ctx.emit('sums', 'k', 1)
        ctx.emit('sums', 'k', 1n)
        ctx.emit('parsed', 'k', { at: '2020-01-01' })
        ctx.loopback('other', 'text')
        holds<Same<ReturnType<typeof ctx.get>, { count: number } | undefined>>()
      },
      async totals(ctx, total) {
        holds<Same<typeof total, bigint>>()
        await Promise.resolve()
        if (total < 0n) return ctx.fail('negative')
        ctx.delete()
      },
      names(ctx, name) {
        const done = ctx.defer()
        ctx.log.info(name.toUpperCase(), { offset: ctx.offset })
        done()
        done(new Error('late'))
      },
      raw: (ctx, image) => ctx.set({ count: image.byteLength }),
      days: (_, day) => void day.getTime(),
    },
    onLoop: (ctx, text) => ctx.loopback('next', text.slice(1)),
    visitors: {
      reset(ctx) {
        holds<Same<ReturnType<typeof ctx.get>, { count: number } | undefined>>()
        ctx.set({ count: 0 })
        ctx.emit('sums', ctx.key, 1)
        ctx.loopback('other', 'text')
      },
      async drop(ctx, { below }: { below: number }) {
        await Promise.resolve()
        if ((ctx.get()?.count ?? 0) < below) ctx.delete()
      },
    },
    wrap: [
      (next) => (ctx, value) => {
        holds<Same<typeof value, unknown>>()
        ctx.emit('sums', ctx.key, 1)
        return next(ctx, value)
      },
      anywhere,
      inAnyTable,
    ],
    headers: { source: 'web' },
    onError: 'skip',
    retry: { attempts: 5, backoffMs: 10 },
    concurrency: 8,
    delivery: 'at-least-once',
    standby: 1,
    recoverAhead: true,
    views: 'replicate',
  })
  const reading = defineProcessor({
    inputs: {
      zod: json(parsed),
      valibot: json(v.object({ page: v.string(), n: v.optional(v.number(), 0) })),
      arktype: json(type({ page: 'string', 'age?': 'number' })),
    },
    table: json(parsed),
    on: {
      zod(ctx, value) {
        holds<Same<typeof value, { at: Date; n: number }>>()
        holds<Same<ReturnType<typeof ctx.get>, { at: Date; n: number } | undefined>>()
        ctx.set({ at: 'text' })
      },
      valibot: (_, value) => holds<Same<typeof value, { page: string; n: number }>>() && undefined,
      arktype: (_, value) =>
        holds<Same<typeof value, { page: string; age?: number }>>() && undefined,
    },
  })
  const removing = defineProcessor({
    inputs: { names: string },
    tombstones: 'process',
    on: {
      names(_, name) {
        holds<Same<typeof name, string | null>>()
      },
    },
  })
  const inlineCodec = defineProcessor({
    inputs: {
      days: {
        encode: (day: Date) => bytes.encode(Buffer.from(day.toISOString())),
        decode: () => new Date(),
      },
    },
    on: { days: (_, day) => void day.getTime() },
  })
  const count = json<{ count: number }>()
  const outputs = { pages: string }
  const add = (ctx: Context<typeof count, typeof outputs>) => {
    ctx.set({ count: (ctx.get()?.count ?? 0) + 1 })
    ctx.emit('pages', ctx.key, 'x')
  }
  const shared = defineProcessor({
    inputs: { clicks: string },
    table: count,
    outputs,
    on: { clicks: add },
  })
  holds<Same<OutOf<NonNullable<typeof shared.table>>, { count: number }>>()
  const migrating = defineProcessor({
    inputs: { clicks: string },
    table: json(parsed),
    migrate: {
      from: count,
      to(old) {
        holds<Same<typeof old, { count: number }>>()
        return { at: '2020-01-01', n: old.count }
      },
    },
    revision: 2,
    on: { clicks: (ctx) => ctx.delete() },
  })
  const inlineMigration = defineProcessor({
    inputs: { clicks: string },
    table: int64,
    migrate: { from: json<{ n: number }>(), to: (old) => old.n },
    revision: 'by-month',
    on: { clicks: (ctx) => ctx.set(1n) },
  })
  const takenOver = defineProcessor({
    group: 'goka-group',
    tableTopic: 'goka-group-table',
    loopTopic: 'goka-group-loop',
    hasher: 'fnv1a',
    inputs: { clicks: topic('prod.clicks', json<{ page: string }>()), days: topic('days', date) },
    table: int64,
    loop: int64,
    outputs: { totals: topic('prod.totals', int64, { hasher: 'murmur2' }) },
    on: {
      clicks(ctx, click) {
        holds<Same<typeof click, { page: string }>>()
        ctx.emit('totals', ctx.key, 1)
      },
      days: (_, day) => void day.getTime(),
    },
    onLoop: (ctx, n) => ctx.set((ctx.get() ?? 0n) + n),
  })
  const kept: ProcessorDefinition[] = (
    ['level', 'memory', { open: () => emptyStore }] as const
  ).map(
    (store) => defineProcessor({ inputs: { clicks: string }, table: string, store, on: { clicks() {} } }), // biome-ignore format: one line
  )
  const pair = keyOf({ from: 'text', day: 'integer' })
  const structured = defineProcessor({
    keys: pair,
    inputs: { clicks: string },
    table: int64,
    loop: string,
    outputs: { days: keyed(pair, topic('prod.days', int64)), plain: string },
    lookups: {
      totals: keyed(pair, int64),
      elsewhere: topicTable('shop.totals', keyed(pair, int64)),
      prices: int64,
    },
    wrap: [
      anywhere,
      inAnyTable,
      (next) => (ctx, value) => next(ctx, `${String(value)} ${ctx.key.day}`),
    ],
    on: {
      clicks(ctx) {
        holds<Same<typeof ctx.key, { readonly from: string; readonly day: number }>>()
        ctx.emit('days', { from: ctx.key.from, day: 1 }, 1)
        ctx.emit('plain', 'text', 'x')
        ctx.loopback({ ...ctx.key, day: 2 }, 'x')
        const total: bigint | undefined = ctx.lookup('totals', ctx.key)
        ctx.lookup('elsewhere', ctx.key)
        ctx.lookup('prices', 'apple')
        ctx.set(total ?? 1)
      },
    },
    onLoop: (ctx) => void ctx.key.day.toFixed(),
    visitors: { drop: (ctx) => (ctx.key.day < 0 ? ctx.delete() : undefined) },
  })
  const inlineKeys = defineProcessor({
    keys: { encode: (n: number) => String(n), decode: Number },
    inputs: { clicks: string },
    on: { clicks: (ctx) => void ctx.key.toFixed() },
  })
  type Pair = KeyOf<(typeof pair)['parts']>
  const helper = (ctx: BaseContext<Pair> & TableContext<bigint, bigint | number>) =>
    ctx.set(ctx.key.day)
  const helped = defineProcessor({ keys: pair, inputs: { clicks: string }, table: int64, on: { clicks: helper } }) // biome-ignore format: one line
  return [
    structured,
    inlineKeys,
    helped,
    ...kept,
    full,
    reading,
    removing,
    inlineCodec,
    shared,
    migrating,
    inlineMigration,
    takenOver,
  ]
}

/** Each line has one mistake. */
function wrongUses(): unknown[] {
  const inputs = { clicks: json<{ page: string }>() }
  const table = json<{ count: number }>()
  const outputs = { pages: string }
  const loop = string
  const on = { clicks() {} }
  const tombstones = 'process'
  const keys = keyOf({ from: 'text' })
  return [
    // @ts-expect-error no inputs
    defineProcessor({ on: {} }),
    // @ts-expect-error no handlers
    defineProcessor({ inputs }),
    // @ts-expect-error no handler for the input
    defineProcessor({ inputs, on: {} }),
    // @ts-expect-error a handler for no input
    defineProcessor({ inputs, on: { clicks() {}, views() {} } }),
    // @ts-expect-error an unknown option
    defineProcessor({ inputs, on: { clicks() {} }, tabel: table }),
    // @ts-expect-error an unknown value of an option
    defineProcessor({ inputs, on: { clicks() {} }, onError: 'stop' }),
    // @ts-expect-error an unknown field of retry
    defineProcessor({ inputs, on: { clicks() {} }, retry: { times: 3 } }),
    // @ts-expect-error an unknown hasher
    defineProcessor({ inputs, on: { clicks() {} }, hasher: 'fnv1' }),
    // @ts-expect-error a topic without a codec
    topic('clicks'),
    // @ts-expect-error a wrong value for an output with a topic of its own
    defineProcessor({ inputs, outputs: { n: topic('n', int64) }, on: { clicks: (ctx) => ctx.emit('n', 'k', 'v') } }), // biome-ignore format: one line
    // @ts-expect-error no codec
    defineProcessor({ inputs: { clicks: 'json' }, on: { clicks() {} } }),
    // @ts-expect-error set without a table
    defineProcessor({ inputs, on: { clicks: (ctx) => ctx.set({ count: 1 }) } }),
    // @ts-expect-error get without a table
    defineProcessor({ inputs, on: { clicks: (ctx) => void ctx.get() } }),
    // @ts-expect-error delete without a table
    defineProcessor({ inputs, on: { clicks: (ctx) => ctx.delete() } }),
    // @ts-expect-error a wrong value for the table
    defineProcessor({ inputs, table, on: { clicks: (ctx) => ctx.set({ count: '1' }) } }),
    // @ts-expect-error null for the table
    defineProcessor({ inputs, table, on: { clicks: (ctx) => ctx.set(null) } }),
    // @ts-expect-error the value may be absent
    defineProcessor({ inputs, table, on: { clicks: (ctx) => void ctx.get().count } }),
    // @ts-expect-error emit without outputs
    defineProcessor({ inputs, on: { clicks: (ctx) => ctx.emit('pages', 'k', 'v') } }),
    // @ts-expect-error an undeclared output
    defineProcessor({ inputs, outputs, on: { clicks: (ctx) => ctx.emit('sums', 'k', 'v') } }),
    // @ts-expect-error a wrong value for the output
    defineProcessor({ inputs, outputs, on: { clicks: (ctx) => ctx.emit('pages', 'k', 1) } }),
    // @ts-expect-error loopback without a loop
    defineProcessor({ inputs, on: { clicks: (ctx) => ctx.loopback('k', 'v') } }),
    // @ts-expect-error a wrong value for the loop
    defineProcessor({ inputs, loop, on: { clicks: (ctx) => ctx.loopback('k', 1) }, onLoop() {} }),
    // @ts-expect-error a loop without onLoop
    defineProcessor({ inputs, loop: string, on: { clicks() {} } }),
    // @ts-expect-error onLoop without a loop
    defineProcessor({ inputs, on: { clicks() {} }, onLoop() {} }),
    // @ts-expect-error a field that the input doesn't have
    defineProcessor({ inputs, on: { clicks: (_, click) => void click.url } }),
    // @ts-expect-error a tombstone has no field
    defineProcessor({ inputs, tombstones, on: { clicks: (_, click) => void click.page } }),
    // @ts-expect-error the table takes something else
    defineProcessor({ inputs, table, migrate: { from: int64, to: (n) => n }, on: { clicks() {} } }),
    // @ts-expect-error a field that the stored value does not have
    defineProcessor({ inputs, table, migrate: { from: table, to: (v) => ({ count: v.sum }) }, on }),
    // @ts-expect-error migrate without a table
    defineProcessor({ inputs, migrate: { from: int64, to: () => 1 }, on: { clicks() {} } }),
    // @ts-expect-error migrate without its codec
    defineProcessor({ inputs, table, migrate: { to: () => ({ count: 1 }) }, on: { clicks() {} } }),
    // @ts-expect-error a revision is a number or a name
    defineProcessor({ inputs, revision: true, on: { clicks() {} } }),
    // @ts-expect-error a key that is text has no parts
    defineProcessor({ inputs, on: { clicks: (ctx) => void ctx.key.from } }),
    // @ts-expect-error a part that the key does not have
    defineProcessor({ keys, inputs, on: { clicks: (ctx) => void ctx.key.to } }),
    // @ts-expect-error text for a key of parts
    defineProcessor({ inputs, outputs: { days: keyed(keys, string) }, on: { clicks: (ctx) => ctx.emit('days', 'k', 'v') } }), // biome-ignore format: one line
    // @ts-expect-error parts for a key that is text
    defineProcessor({ keys, inputs, outputs, on: { clicks: (ctx) => ctx.emit('pages', ctx.key, 'v') } }), // biome-ignore format: one line
    // @ts-expect-error text for the loop's key
    defineProcessor({ keys, inputs, loop, on: { clicks: (ctx) => ctx.loopback('k', 'v') }, onLoop() {} }), // biome-ignore format: one line
    // @ts-expect-error text for the key of a lookup
    defineProcessor({ inputs, lookups: { days: keyed(keys, string) }, on: { clicks: (ctx) => void ctx.lookup('days', 'k') } }), // biome-ignore format: one line
    // @ts-expect-error keys that are no codec of text
    defineProcessor({ inputs, keys: string, on }),
    // @ts-expect-error a part of an unknown kind
    keyOf({ day: 'number' }),
    // @ts-expect-error a part that is missing
    keys.encode({}),
    // @ts-expect-error copies of a table that is not there
    defineProcessor({ inputs, standby: 1, on: { clicks() {} } }),
    // @ts-expect-error nor can it be recovered ahead
    defineProcessor({ inputs, recoverAhead: true, on: { clicks() {} } }),
    // @ts-expect-error views of another kind
    defineProcessor({ inputs, table, views: 'local', on: { clicks() {} } }),
    // @ts-expect-error an unknown store
    defineProcessor({ inputs, table, store: 'disk', on: { clicks() {} } }),
    // @ts-expect-error a store that answers later
    defineProcessor({ inputs, table, store: { open: () => ({ ...emptyStore, get: async () => undefined }) }, on }), // biome-ignore format: one line
    // @ts-expect-error a wrong value for a schema
    json(parsed).encodeText({ at: 7 }),
    // @ts-expect-error no schema
    json({ page: 'string' }),
    // @ts-expect-error a view without a codec
    defineView({ table: 'shop.prices' }),
    // @ts-expect-error a view without a table
    defineView({ codec: int64 }),
    // @ts-expect-error a view has no inputs
    defineView({ table: 'shop.prices', codec: int64, inputs }),
    // @ts-expect-error a view emits nothing
    defineView({ table: 'shop.prices', codec: int64, update: (ctx) => ctx.emit('x', 'k', 1n) }),
    // @ts-expect-error a wrong value for what is stored
    defineView({ table: 'prices', codec: int64, stored: string, update: (ctx) => ctx.set(7) }),
  ]
}

void t.test('the compiler is asked about this file, strictly', async (t) => {
  isTypeChecked(t, 'test/sdk/types.test.ts')
  t.type(rightUses, 'function')
  t.type(wrongUses, 'function')
})

void t.test('right uses load, too', async (t) => {
  for (const definition of [...rightUses(), ...rightViews()]) t.ok(Object.isFrozen(definition))
})
