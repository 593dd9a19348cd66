// Takes only values that its schema allows: others are refused when they are emitted.
// Try: npx millrace emit readings roof '{"celsius":12}'
import { defineProcessor, json } from 'millrace'
import { z } from 'zod'

const reading = z.object({
  celsius: z.number().min(-100).max(100),
})

export default defineProcessor({
  inputs: { readings: json(reading) },
  table: json<{ least: number; most: number }>(),
  on: {
    readings(ctx, { celsius }) {
      const { least, most } = ctx.get() ?? { least: celsius, most: celsius }
      ctx.set({ least: Math.min(least, celsius), most: Math.max(most, celsius) })
    },
  },
})
