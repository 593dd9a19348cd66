// A function that is watched: what it is at, then each change of that, as server-sent events.
import { streamSSE } from 'hono/streaming'
import type { Catalog } from '../functions/catalog.js'
import { clientOf } from './client.js'
import type { HttpContext } from './deps.js'
import { nextChange } from './next-change.js'
import type { WaitingRoom } from './waiting.js'

/** The longest that a timer takes: a watch ends with its client, or with the host. */
const noTimeoutMs = 2 ** 31 - 1
const headHeaders = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' }
/** A client that has gone without a word is noticed by it. */
const beatMs = 15_000

/** Throws OVERLOADED when too many wait already. The stream ends when the function is gone. */
export function watchFunction(
  c: HttpContext,
  catalog: Pick<Catalog, 'condition' | 'onChange'>,
  room: WaitingRoom,
  name: string,
): Response {
  // Nobody reads a body, or would say that it has gone.
  if (c.req.method === 'HEAD') return new Response(null, { headers: headHeaders })
  const client = clientOf(c)
  const wait = room.enter({ timeoutMs: noTimeoutMs, client: client.signal })
  return streamSSE(c, async (stream) => {
    const beat = setInterval(() => void stream.write(':\n\n').catch(() => {}), beatMs).unref()
    try {
      let last: string | undefined
      for (;;) {
        using change = nextChange(catalog, name)
        const condition = catalog.condition(name)
        if (condition === undefined) break
        const data = JSON.stringify(condition)
        // A client that reads nothing holds it up, and may go, too.
        if (data !== last) await wait.for(stream.writeSSE({ event: 'state', data }))
        last = data
        await wait.for(change.happened)
      }
    } catch {
      // The client has gone, or the host stops: nobody to be told.
    } finally {
      clearInterval(beat)
      wait[Symbol.dispose]()
      client[Symbol.dispose]()
    }
  })
}
