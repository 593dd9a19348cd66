// Sends messages to itself under other keys: a transfer debits one account, and then credits the other in that key's turn.
// Try: npx millrace emit transfers alice '{"to":"bob","amount":5}'
import { defineProcessor, json } from 'millrace'

export default defineProcessor({
  inputs: { transfers: json<{ to: string; amount: number }>() },
  table: json<{ balance: number }>(),
  loop: json<{ credit: number }>(),
  on: {
    transfers(ctx, { to, amount }) {
      ctx.set({ balance: (ctx.get()?.balance ?? 0) - amount })
      ctx.loopback(to, { credit: amount })
    },
  },
  onLoop(ctx, { credit }) {
    ctx.set({ balance: (ctx.get()?.balance ?? 0) + credit })
  },
})
