// Clicks from two sources in one table. Both streams and the table have as many partitions, and a user's lie in the same one: whoever
// has it needs no other to count.
import { defineProcessor, json, string } from 'millrace'

export default defineProcessor({
  inputs: { web: string, app: string },
  table: json<{ web: number; app: number }>(),
  on: {
    web(ctx) {
      const { web, app } = ctx.get() ?? { web: 0, app: 0 }
      ctx.set({ web: web + 1, app })
    },
    app(ctx) {
      const { web, app } = ctx.get() ?? { web: 0, app: 0 }
      ctx.set({ web, app: app + 1 })
    },
  },
})
