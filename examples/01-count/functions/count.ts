// Counts the clicks of each user: the key is the user, the table keeps the number.
import { defineProcessor, int64, string } from 'millrace'

export default defineProcessor({
  inputs: { clicks: string },
  table: int64,
  on: {
    clicks: (ctx) => ctx.set((ctx.get() ?? 0n) + 1n),
  },
})
