// The clicks of each user, handed on under the key of their page.
import { defineProcessor, int64, json, string } from 'millrace'

export default defineProcessor({
  inputs: { clicks: json<{ page: string }>() },
  table: int64,
  outputs: { pages: string },
  on: {
    clicks(ctx, { page }) {
      ctx.set((ctx.get() ?? 0n) + 1n)
      ctx.emit('pages', page, ctx.key)
    },
  },
})
