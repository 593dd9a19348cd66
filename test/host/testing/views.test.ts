// Views in the test kit, and the tables of others that they and functions read.
import { defineProcessor, defineView, int64, json, string, topicTable } from 'millrace'
import { testHost } from 'millrace/testing'
import t from 'tap'

interface Price {
  readonly cents: number
}

const prices = defineView({ table: 'shop.prices', codec: json<Price>() })

/** What it was and how often it was changed. */
const history = defineView({
  table: 'shop.prices',
  codec: json<Price>(),
  stored: json<{ last: number; changes: number }>(),
  update(ctx, price) {
    const { last = 0, changes = 0 } = ctx.get() ?? {}
    ctx.set({ last: price?.cents ?? last, changes: changes + 1 })
  },
})

t.test('a view has what others write', async (t) => {
  await using host = await testHost({ prices })
  const shop = host.foreignTable('shop.prices')
  await shop.set('apple', { cents: 120 })
  await shop.set('pear', { cents: 90 })
  await host.settled()
  t.same(host.table('prices').get('apple'), { cents: 120 })
  await shop.delete('apple')
  await host.settled()
  t.equal(host.table('prices').get('apple'), undefined)
  t.same(await host.table('prices').entries(), [['pear', { cents: 90 }]])
  t.throws(() => host.foreignTable('shop.price'), /no table of others "shop.price", did you mean/)
  await t.rejects(shop.set('apple', undefined), { code: 'BAD_VALUE' })
})

t.test('an update takes up each change once, whatever befalls the host', async (t) => {
  for (const seed of [1, 2, 3, 4, 5]) {
    await using host = await testHost({ history }, { seed, faults: true })
    const shop = host.foreignTable('shop.prices')
    for (let round = 1; round <= 30; round += 1) {
      await Promise.all(['a', 'b', 'c'].map((key) => shop.set(key, { cents: round })))
      if (round % 7 === 0) await host.crash({ store: round % 2 === 0 ? 'lost' : 'kept' })
      if (round % 11 === 0) await host.rebalance()
    }
    await shop.delete('b')
    await host.settled()
    const { get } = host.table('history')
    t.same(
      [get('a'), get('b')],
      [
        { last: 30, changes: 30 },
        { last: 30, changes: 31 },
      ],
    )
  }
})

t.test(
  'an update that throws halts the view at that record; a mended one goes on there',
  async (t) => {
    const broken = defineView({
      table: 'shop.prices',
      codec: json<Price>(),
      update(ctx, price) {
        if (price?.cents === 2) throw new RangeError('not two')
        if (price !== null) ctx.set(price)
      },
    })
    await using host = await testHost({ prices: broken }, { partitions: 1 })
    const shop = host.foreignTable('shop.prices')
    for (const cents of [1, 2, 3]) await shop.set(`costs-${cents}`, { cents })
    await t.rejects(host.settled(), {
      code: 'HANDLER_FAILED',
      message: /prices has halted at shop\.prices, partition 0, offset 1, key "costs-2".*not two/,
      cause: { name: 'RangeError' },
    })
    t.equal(host.function('prices').state, 'halted')
    t.same(await host.table('prices').keys(), ['costs-1'])
    await host.crash()
    await t.rejects(host.settled(), /not two/, 'it is met again')
    await host.swap({ prices })
    await host.settled()
    t.same(await host.table('prices').keys(), ['costs-1', 'costs-2', 'costs-3'])
  },
)

t.test('what an update may not do is told', async (t) => {
  const kept: (() => void)[] = []
  const views = {
    later: defineView({
      table: 'shop.prices',
      codec: json<Price>(),
      update: (ctx) => void kept.push(() => ctx.set({ cents: 1 })),
    }),
    async: defineView({
      table: 'shop.prices',
      codec: json<Price>(),
      update: (): unknown => Promise.resolve(),
    }),
    nothing: defineView({
      table: 'shop.prices',
      codec: json<Price>(),
      update: (ctx) => Reflect.apply(ctx.set, ctx, [null]),
    }),
    strict: defineView({
      table: 'shop.prices',
      codec: int64,
      update: (ctx, price) => (price === null ? ctx.delete() : ctx.set(price)),
    }),
  }
  const trial = async (name: keyof typeof views) => {
    const host = await testHost({ [name]: views[name], prices })
    await host.foreignTable('shop.prices').set('apple', { cents: 120 })
    const failure = await host.settled().then(
      () => undefined,
      (error: unknown) => error,
    )
    await host.close()
    return failure
  }
  t.equal(await trial('later'), undefined)
  t.throws(() => kept[0]?.(), { code: 'MISUSED_CONTEXT' })
  t.match(await trial('async'), { message: /update returned a promise/ })
  t.match(await trial('nothing'), { message: /ctx\.set\(null\): ctx\.delete\(\) removes/ })
  t.match(await trial('strict'), { message: /"apple" does not decode/ })
})

t.test('a view of the table of a function of the test', async (t) => {
  const counts = defineProcessor({
    inputs: { clicks: string },
    table: int64,
    on: { clicks: (ctx) => ctx.set((ctx.get() ?? 0n) + 1n) },
  })
  const shown = defineView({
    table: 'counts-table',
    codec: int64,
    stored: string,
    update: (ctx, count) => ctx.set(`${count} clicks`),
  })
  await using host = await testHost({ shown, counts })
  await host.emit('clicks', 'ann', 'home')
  await host.emit('clicks', 'ann', 'home')
  await host.settled()
  t.equal(host.table('shown').get('ann'), '2 clicks')
  t.throws(() => host.foreignTable('counts-table'), /no table of others/)
})

t.test('tables that a function reads of others are written by the test', async (t) => {
  const orders = defineProcessor({
    inputs: { orders: string },
    table: json<{ name: string; cents: number }>(),
    joins: { profiles: string },
    lookups: { prices: topicTable('shop.prices', json<Price>()) },
    on: {
      orders(ctx, article) {
        const { cents } = ctx.lookup('prices', article) ?? { cents: 0 }
        ctx.set({ name: ctx.join('profiles') ?? 'stranger', cents })
      },
    },
  })
  await using host = await testHost({ orders, prices })
  await host.foreignTable('profiles').set('ann', 'Ann')
  await host.foreignTable('shop.prices').set('apple', { cents: 120 })
  await host.settled()
  await host.emit('orders', 'ann', 'apple')
  await host.settled()
  t.same(host.table('orders').get('ann'), { name: 'Ann', cents: 120 })
  t.same(host.table('prices').get('apple'), { cents: 120 })
})
