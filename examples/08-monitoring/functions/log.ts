// Keeps nothing: a line in the host's log for each click.
import { defineProcessor, json } from 'millrace'

export default defineProcessor({
  inputs: { clicks: json<{ page: string }>() },
  on: {
    clicks: (ctx, { page }) => ctx.log.info('click', { page }),
  },
})
