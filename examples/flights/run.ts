// Sends 20,000 flights through two functions and prints the worst airports and routes: `npm run example:flights`.
import { randomUUID } from 'node:crypto'
import { parseArgs } from 'node:util'
import { Client } from './client.js'
import { readAirportNames, readFlights } from './dataset.js'
import { startHost } from './host.js'
import { showProgress } from './progress.js'
import { worst } from './report.js'

const batchSize = 1000
/** Of a row in the tables. */
const minFlights = { airport: 100, route: 20 }

async function run(url: string, signal: AbortSignal): Promise<void> {
  const client = new Client(url, signal)
  const [flights, names] = await Promise.all([readFlights(), readAirportNames()])
  const began = performance.now()
  const tokens: string[] = []
  {
    using progress = showProgress(flights.length)
    for (let start = 0; start < flights.length; start += batchSize) {
      const batch = flights.slice(start, start + batchSize)
      tokens.push(await client.emit(batch))
      progress.add(batch.length)
    }
  }
  // A token covers the partitions of its own batch alone, so each one counts.
  for (const table of ['airport-delays', 'route-delays']) {
    for (const token of tokens) await client.reflects(table, token)
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  console.log(`${flights.length} flights sent, and reflected in both tables, in ${seconds} s`)

  const nameOf = (code: string) => names.get(code) ?? code
  const nameOfRoute = (route: string) => route.split('-').map(nameOf).join(' → ')
  const [airports, routes] = [
    await client.table('airport-delays'),
    await client.table('route-delays'),
  ]
  const ofAirports = { title: 'airport', minFlights: minFlights.airport, nameOf }
  const ofRoutes = { title: 'route', minFlights: minFlights.route, nameOf: nameOfRoute }
  console.log(`\nWorst of ${airports.size} airports (${minFlights.airport} flights or more)`)
  console.log(worst(airports, ofAirports))
  console.log(`\nWorst of ${routes.size} routes (${minFlights.route} flights or more)`)
  console.log(worst(routes, ofRoutes))
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { host: { type: 'string' }, log: { type: 'string' } } })
  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => interrupted.abort(new Error(`stopped by ${signal}`)))
  }
  if (values.host !== undefined) {
    await run(values.host.replace(/\/$/, ''), interrupted.signal)
    return
  }
  // What another run has left on the same brokers is not counted.
  const namespace = `flights-${randomUUID().slice(0, 8)}-`
  await using host = await startHost(values.log === undefined ? {} : { log: values.log, namespace })
  await run(host.url, interrupted.signal)
  if (values.log?.startsWith('kafka:')) console.log(`\nKept in topics that begin with ${namespace}`)
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
