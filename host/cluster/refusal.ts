// What another instance says when it does not give what it was asked for.
import { HostError, isErrorCode } from '../errors.js'
import { isObject } from '../object.js'
import type { Peer } from './client.js'

/** Between instances alone: the one that was asked does not have what it was asked for. */
export const movedStatus = 421

/** Throws RECOVERING for what the other does not have, or not yet. */
export function refuseMoved({ instance }: Peer, status: number, body: Buffer): void {
  if (status !== movedStatus && status !== 503) return
  const { message } = errorIn(body)
  throw new HostError(
    'RECOVERING',
    `the instance ${instance}, which was asked for it, says: ${String(message ?? 'it is not here')}`,
  )
}

/** Throws as above, or what the other has thrown. */
export function refuseUnlessGood(peer: Peer, status: number, body: Buffer): void {
  refuseMoved(peer, status, body)
  if (status < 300) return
  const { code, message, details } = errorIn(body)
  throw new HostError(
    isErrorCode(code) ? code : 'INTERNAL',
    `the instance ${peer.instance} says: ${String(message)}`,
    details === undefined ? {} : { details },
  )
}

export function errorIn(body: Buffer): Record<string, unknown> {
  const told: unknown = body.length === 0 ? undefined : JSON.parse(body.toString())
  return isObject(told) && isObject(told.error) ? told.error : {}
}

export const unreachable = (peer: Peer, why: string, cause?: unknown): HostError =>
  new HostError(
    'PEER_UNREACHABLE',
    `the instance ${peer.instance} does not answer at ${peer.address} (${why}): look whether it runs, and whether this host reaches that address (http.advertise)`,
    { cause },
  )
