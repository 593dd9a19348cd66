// The clicks on each page, and who clicked last: with how many of the user's own by then.
import { defineProcessor, int64, json, string } from 'millrace'

export default defineProcessor({
  inputs: { pages: string },
  lookups: { users: int64 },
  table: json<{ clicks: number; lastBy: string }>(),
  on: {
    pages(ctx, user) {
      ctx.set({ clicks: (ctx.get()?.clicks ?? 0) + 1, lastBy: user })
      ctx.log.debug('clicked', { user, clicks: ctx.lookup('users', user) })
    },
  },
})
