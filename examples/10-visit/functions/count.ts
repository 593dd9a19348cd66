// A sum for each key, which a visit sets to whatever it is told.
import { defineProcessor, int64 } from 'millrace'

export default defineProcessor({
  inputs: { clicks: int64 },
  table: int64,
  on: {
    clicks: (ctx, n) => ctx.set((ctx.get() ?? 0n) + n),
  },
  visitors: {
    reset: (ctx, to: number) => ctx.set(to),
  },
})
