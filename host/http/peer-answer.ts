// What another instance has answered for this one, as the answer to the client; and what an instance answers that has nothing to give.
import type { Peer, PeerAnswer } from '../cluster/client.js'
import { toldHeaders } from '../cluster/proof.js'
import { movedStatus, refuseMoved } from '../cluster/refusal.js'
import { HostError } from '../errors.js'
import { errorAnswer } from './answer.js'

const passedOn = [...toldHeaders, 'content-length'] as const

/** Throws RECOVERING for what the other does not have, or not yet. */
export function peerAnswer(peer: Peer, { status, headers, body }: PeerAnswer): Response {
  refuseMoved(peer, status, body)
  const passed = passedOn.flatMap((name): [string, string][] => {
    const value = headers[name]
    return typeof value === 'string' ? [[name, value]] : []
  })
  return new Response(body.length === 0 ? null : body, { status, headers: passed })
}

/** To another instance: what it asks for is not here. */
export class Moved extends HostError {
  constructor(message: string) {
    super('RECOVERING', message)
  }
}

export const movedAnswer = (error: Moved): Response => errorAnswer(error, {}, movedStatus)
