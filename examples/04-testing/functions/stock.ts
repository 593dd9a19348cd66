// How many there are of each item. An order is answered under its own key: it gets all that it asks for, or nothing.
import { defineProcessor, int64, json } from 'millrace'

export default defineProcessor({
  inputs: { deliveries: int64, orders: json<{ id: string; pieces: number }>() },
  table: int64,
  outputs: { answers: json<{ item: string; isTaken: boolean }>() },
  on: {
    deliveries: (ctx, pieces) => ctx.set((ctx.get() ?? 0n) + pieces),
    orders(ctx, { id, pieces }) {
      if (pieces < 1) return ctx.fail(`order ${id} is for ${pieces} pieces`)
      const left = (ctx.get() ?? 0n) - BigInt(pieces)
      if (left >= 0n) ctx.set(left)
      ctx.emit('answers', id, { item: ctx.key, isTaken: left >= 0n })
    },
  },
})
