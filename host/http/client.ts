// Whether the client is still there to be answered.
import type { HttpContext } from './deps.js'

export interface Client extends Disposable {
  /** Aborted when the connection closes before the answer has gone out. */
  readonly signal: AbortSignal
}

/**
 * Not by the request's own signal where there is a socket: Node 20 follows the server's through a weak reference, and one
 * that has been collected never aborts.
 */
export function clientOf(c: HttpContext): Client {
  const outgoing = c.env?.outgoing
  if (outgoing === undefined) return { signal: c.req.raw.signal, [Symbol.dispose]: () => {} }
  const controller = new AbortController()
  const left = () => {
    if (!outgoing.writableFinished) controller.abort()
  }
  if (outgoing.destroyed) left()
  else outgoing.once('close', left)
  return { signal: controller.signal, [Symbol.dispose]: () => void outgoing.off('close', left) }
}
