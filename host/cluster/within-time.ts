// How long another instance may take for the next piece of an answer.
import { HostError } from '../errors.js'
import type { PeerStream } from './answer-check.js'
import type { Peer } from './client.js'
import { unreachable } from './refusal.js'

/** Only while it is waited for: a client that takes its time is no fault of the other instance. */
export async function withinTime<T>(
  owner: Peer,
  answer: PeerStream,
  next: Promise<T>,
  timeoutMs: number,
): Promise<T> {
  const timer = setTimeout(
    () => answer.destroy(new Error(`nothing within ${timeoutMs} ms`)),
    timeoutMs,
  )
  try {
    return await next
  } catch (cause) {
    if (cause instanceof HostError) throw cause
    throw unreachable(owner, cause instanceof Error ? cause.message : String(cause), cause)
  } finally {
    clearTimeout(timer)
  }
}
