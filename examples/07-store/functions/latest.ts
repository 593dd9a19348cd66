// The latest page of each user, in memory: read from the log anew at each start.
import { defineProcessor, string } from 'millrace'

export default defineProcessor({
  inputs: { clicks: string },
  table: string,
  store: 'memory',
  on: {
    clicks: (ctx, page) => ctx.set(page),
  },
})
