// Each user's clicks; a click that is none is refused where it is sent.
import { defineProcessor, json } from 'millrace'
import { z } from 'zod'

export default defineProcessor({
  inputs: { clicks: json(z.object({ page: z.string().startsWith('/') })) },
  table: json<{ clicks: number; lastPage: string }>(),
  on: {
    clicks(ctx, { page }) {
      ctx.set({ clicks: (ctx.get()?.clicks ?? 0) + 1, lastPage: page })
    },
  },
})
