// Counts the clicks of each visitor. Save a change while `npm run dev` runs: the next click is handled by the new code.
//
//   curl -d '{"page":"/home"}' http://127.0.0.1:7420/emitters/clicks/alice
//   curl http://127.0.0.1:7420/views/click-count/alice
import { defineProcessor, json } from 'millrace'

export default defineProcessor({
  // The streams that this function reads, and what their records look like.
  inputs: { clicks: json<{ page: string }>() },
  // One value for each key, kept in a table with the name of this file.
  table: json<{ count: number }>(),
  on: {
    // Called for each record, one after another for each key.
    clicks(ctx, click) {
      const count = (ctx.get()?.count ?? 0) + 1
      ctx.set({ count })
      ctx.log.debug(`${ctx.key} has clicked ${count} times, now on ${click.page}`)
    },
  },
})
