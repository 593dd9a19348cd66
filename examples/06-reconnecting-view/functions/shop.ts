// The other system, which has a table: here a function; on Kafka whatever writes the compacted topic `shop-table`.
import { defineProcessor, json } from 'millrace'

export default defineProcessor({
  inputs: { changes: json<{ cents: number }>() },
  table: json<{ cents: number }>(),
  on: {
    changes: (ctx, price) => ctx.set(price),
  },
})
