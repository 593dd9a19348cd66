// How long another instance may take for the next piece of an answer.
import { HostError } from '../errors.js'
import type { PeerStream } from './answer-check.js'
import type { Peer } from './client.js'
import { refuseUnlessGood, unreachable } from './refusal.js'

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

/** Throws what an answer other than 200 says. */
export async function refuseUnlessOk(
  owner: Peer,
  answer: PeerStream,
  timeoutMs: number,
): Promise<void> {
  const { statusCode = 0 } = answer
  if (statusCode === 200) return
  const body = await withinTime(owner, answer, answer.toArray(), timeoutMs)
  refuseUnlessGood(owner, statusCode, Buffer.concat(body))
}
