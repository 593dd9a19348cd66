// Counts records by key, in a table.
// Try: npx millrace emit clicks alice '{"page":"/home"}'
import { defineProcessor, json } from 'millrace'

export default defineProcessor({
  inputs: { clicks: json<{ page: string }>() },
  table: json<{ count: number; lastPage: string }>(),
  on: {
    clicks(ctx, click) {
      const before = ctx.get()
      ctx.set({ count: (before?.count ?? 0) + 1, lastPage: click.page })
    },
  },
})
