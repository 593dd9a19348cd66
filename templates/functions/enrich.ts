// Asks another service about each record, many keys at once, trying again when it fails.
import { defineProcessor, json } from 'millrace'

const service = process.env.CUSTOMERS_URL ?? 'http://127.0.0.1:8080'

export default defineProcessor({
  inputs: { orders: json<{ customer: string; total: number }>() },
  outputs: { 'enriched-orders': json<{ total: number; country: string }>() },
  concurrency: 16,
  retry: { attempts: 6, backoffMs: 200 },
  on: {
    async orders(ctx, order) {
      const url = `${service}/customers/${encodeURIComponent(order.customer)}`
      const response = await fetch(url, { signal: ctx.signal })
      if (response.status === 404) return ctx.fail(`there is no customer ${order.customer}`)
      if (!response.ok) throw new Error(`${url}: ${response.status}`)
      const { country } = (await response.json()) as { country: string }
      ctx.emit('enriched-orders', ctx.key, { total: order.total, country })
    },
  },
})
