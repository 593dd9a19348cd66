// The orders that got nothing, until they are asked for.
import { defineProcessor, json, string } from 'millrace'

export default defineProcessor({
  inputs: { answers: json<{ item: string; isTaken: boolean }>() },
  table: string,
  outputs: { apologies: string },
  on: {
    answers(ctx, { item, isTaken }) {
      if (!isTaken) ctx.set(item)
    },
  },
  visitors: {
    apologise(ctx) {
      ctx.emit('apologies', ctx.key, `sorry, there is no ${ctx.get()} left`)
      ctx.delete()
    },
  },
})
