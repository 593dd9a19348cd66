// Ports for servers that go away and come back.
import { createServer } from 'node:net'

// Below what systems give to clients: a client that knocks at a server which is away could else be given the server's port and
// connect to itself, and the server could not come back.
const lowest = 20_000
const highest = 32_000

/** Of the loopback interface. */
export const isFree = (port: number) =>
  new Promise<boolean>((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })

/** A port that nobody listens on, of the loopback interface. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 1000; attempt++) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest))
    if (await isFree(port)) return port
  }
  throw new Error(`no free port between ${lowest} and ${highest} was found`)
}
