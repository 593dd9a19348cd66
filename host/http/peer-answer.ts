// What another instance has answered for this one, as the answer to the client.
import type { Peer, PeerAnswer } from '../cluster/client.js'
import { HostError, isErrorCode } from '../errors.js'
import { isObject } from '../object.js'
import { errorAnswer } from './answer.js'

/** Between instances alone: the one that was asked does not have what it was asked for. */
const movedStatus = 421

export class Moved extends HostError {
  constructor(message: string) {
    super('RECOVERING', message)
  }
}

export const movedAnswer = (error: Moved): Response => errorAnswer(error, {}, movedStatus)

const passedOn = ['content-type', 'content-length', 'millrace-stale', 'www-authenticate'] as const

/** Throws RECOVERING for what the other does not have, or not yet. */
export function peerAnswer(peer: Peer, { status, headers, body }: PeerAnswer): Response {
  if (status === movedStatus || status === 503) throw recovering(peer, body)
  const passed = passedOn.flatMap((name): [string, string][] => {
    const value = headers[name]
    return typeof value === 'string' ? [[name, value]] : []
  })
  return new Response(body.length === 0 ? null : body, { status, headers: passed })
}

/** The body of a good answer, parsed; throws what the other has thrown, or RECOVERING as above. */
export function peerJson(peer: Peer, { status, body }: PeerAnswer): unknown {
  if (status === movedStatus || status === 503) throw recovering(peer, body)
  const told: unknown = JSON.parse(body.toString())
  if (status < 300) return told
  const error = errorIn(told)
  throw new HostError(isErrorCode(error.code) ? error.code : 'INTERNAL', String(error.message), {
    ...(error.details === undefined ? {} : { details: error.details }),
  })
}

function recovering({ instance }: Peer, body: Buffer): HostError {
  const { message } = errorIn(body.length === 0 ? undefined : JSON.parse(body.toString()))
  return new HostError(
    'RECOVERING',
    `the instance ${instance}, which was asked for it, says: ${String(message ?? 'it is not here')}`,
  )
}

const errorIn = (told: unknown): Record<string, unknown> =>
  isObject(told) && isObject(told.error) ? told.error : {}
