// The delays of all flights on each route, such as DTW-LAS.
import { defineProcessor, json } from 'millrace'

interface Delays {
  flights: number
  totalDelay: number
  worstDelay: number
  late: number
  meanDelay: number
  lateShare: number
}

/** In minutes: the FAA counts a flight as delayed from here on. */
const late = 15

export default defineProcessor({
  // What airport-delays emits: that it comes from a function makes no difference.
  inputs: { 'route-flights': json<{ delay: number }>() },
  table: json<Delays>(),
  on: {
    'route-flights'(ctx, { delay }) {
      const before = ctx.get()
      const flights = (before?.flights ?? 0) + 1
      const totalDelay = (before?.totalDelay ?? 0) + delay
      const lateFlights = (before?.late ?? 0) + (delay >= late ? 1 : 0)
      ctx.set({
        flights,
        totalDelay,
        worstDelay: Math.max(before?.worstDelay ?? delay, delay),
        late: lateFlights,
        meanDelay: totalDelay / flights,
        lateShare: lateFlights / flights,
      })
    },
  },
})
