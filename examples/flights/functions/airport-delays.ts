// The delays of all departures from each airport; every flight also goes on to its route.
import { defineProcessor, json } from 'millrace'

interface Flight {
  origin: string
  destination: string
  /** In minutes; negative when it was early. */
  delay: number
}

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
  inputs: { flights: json<Flight>() },
  table: json<Delays>(),
  outputs: { 'route-flights': json<{ delay: number }>() },
  on: {
    // The key is the airport: all its flights come here, one after another.
    flights(ctx, { origin, destination, delay }) {
      const before = ctx.get()
      const flights = (before?.flights ?? 0) + 1
      const totalDelay = (before?.totalDelay ?? 0) + delay
      const lateFlights = (before?.late ?? 0) + (delay >= late ? 1 : 0)
      ctx.set({
        flights,
        totalDelay,
        worstDelay: Math.max(before?.worstDelay ?? delay, delay),
        late: lateFlights,
        // Made anew from whole numbers each time: a mean that is only adjusted drifts.
        meanDelay: totalDelay / flights,
        lateShare: lateFlights / flights,
      })
      ctx.emit('route-flights', `${origin}-${destination}`, { delay })
    },
  },
})
