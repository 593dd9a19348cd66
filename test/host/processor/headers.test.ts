// The headers of a definition: on all that its function emits and loops back, and overridden by name.
import { defineProcessor, json, string } from 'millrace'
import { testHost } from 'millrace/testing'
import t from 'tap'

const orders = (headers: Record<string, string>) =>
  defineProcessor({
    inputs: { orders: string },
    table: json<Record<string, string>>(),
    outputs: { receipts: string, plain: string },
    loop: string,
    headers,
    on: {
      orders(ctx, order) {
        ctx.emit('receipts', ctx.key, order)
        ctx.emit('plain', ctx.key, order, { headers: { source: 'shop', id: '7' } })
        ctx.loopback(ctx.key, order)
      },
    },
    onLoop: (ctx) => ctx.set({ ...ctx.headers }),
    visitors: { remind: (ctx) => ctx.emit('receipts', ctx.key, 'again') },
  })

t.test('every emit and loopback has them; what an emit gives wins by name', async (t) => {
  await using host = await testHost({ orders: orders({ source: 'web', é: 'ü' }) })
  await host.emit('orders', 'k', 'x')
  await host.settled()
  await host.visit('orders', 'remind')
  const headersIn = (stream: 'receipts' | 'plain') =>
    host
      .stream(stream)
      .records()
      .map(({ headers }) => headers)
  const both = { source: 'web', é: 'ü' }
  t.same(headersIn('receipts'), [both, both], 'of handlers and visitors')
  t.same(headersIn('plain'), [{ source: 'shop', é: 'ü', id: '7' }])
  t.same(host.table('orders').get('k'), both, 'the loop')
})

t.test('another version has its own', async (t) => {
  await using host = await testHost({ orders: orders({ source: 'web' }) })
  await host.swap({ orders: orders({ version: '2' }) })
  await host.emit('orders', 'k', 'x')
  await host.settled()
  t.same(host.table('orders').get('k'), { version: '2' })
})

t.test('together there may be no more than a record may have', async (t) => {
  const many = Object.fromEntries(Array.from({ length: 99 }, (_, n) => [`h${n}`, '']))
  await using host = await testHost({ orders: orders(many) })
  await host.emit('orders', 'k', 'x')
  await t.rejects(host.settled(), { message: /101 headers are more than the 100/ })
})
