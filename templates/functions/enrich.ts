// Asks another service about each record, many keys at once, trying again when it fails.
// Try: npx millrace emit enrich-orders order-1 '{"customer":"alice","total":20}'
import { defineProcessor, json } from 'millrace'

export default defineProcessor({
  inputs: { 'enrich-orders': json<{ customer: string; total: number }>() },
  outputs: { 'enrich-results': json<{ total: number; country: string }>() },
  concurrency: 16,
  retry: { attempts: 6, backoffMs: 200 },
  on: {
    async 'enrich-orders'(ctx, order) {
      const service = process.env.CUSTOMERS_URL
      if (service === undefined) {
        ctx.log.warn('CUSTOMERS_URL is not set: the order is passed over')
        return
      }
      const url = `${service}/customers/${encodeURIComponent(order.customer)}`
      const response = await fetch(url, { signal: ctx.signal })
      if (response.status === 404) return ctx.fail(`there is no customer ${order.customer}`)
      if (!response.ok) throw new Error(`${url}: ${response.status}`)
      const { country } = (await response.json()) as { country: string }
      ctx.emit('enrich-results', ctx.key, { total: order.total, country })
    },
  },
})
