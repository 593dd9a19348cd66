// Passes some records on to another stream, keeping nothing.
// Try: npx millrace emit orders order-1 '{"total":120}'
import { defineProcessor, json } from 'millrace'

interface Order {
  total: number
}

export default defineProcessor({
  inputs: { orders: json<Order>() },
  outputs: { 'large-orders': json<Order>() },
  on: {
    orders(ctx, order) {
      if (order.total >= 100) ctx.emit('large-orders', ctx.key, order)
    },
  },
})
