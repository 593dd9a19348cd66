// A visit of the partitions that another instance has, asked for by this one: followed line by line, however long it lasts.
import { randomUUID } from 'node:crypto'
import { asHostError, HostError, isErrorCode } from '../errors.js'
import type { VisitOrder } from '../functions/operation.js'
import { LineSplitter } from '../line-splitter.js'
import { isObject } from '../object.js'
import type { VisitProgress, VisitReport } from '../processor/visiting.js'
import type { PeerStream } from './answer-check.js'
import type { Peer, PeerClient } from './client.js'
import { errorIn, unreachable } from './refusal.js'
import { refuseUnlessOk, withinTime } from './within-time.js'

/** What one instance asks another for, as JSON. */
export interface VisitAsked {
  readonly visitor: string
  readonly argument: string | null
  readonly isCounted: boolean
  /** That the other has to have, and no others. */
  readonly partitions: readonly number[]
}

/** A line of the answer. It comes again while there is nothing new: who asks knows by that that the other lives. */
export type VisitLine = VisitProgress | { readonly done: VisitReport } | { readonly error: unknown }

/** `id`: by which it can be ended. */
export const visitPath = (name: string, id: string): string =>
  `/cluster/functions/${encodeURIComponent(name)}/visits/${id}`

export interface RemoteVisit {
  readonly client: PeerClient
  readonly owner: Peer
  readonly function: string
  readonly asked: VisitAsked
  /** How long the other may say nothing. */
  readonly timeoutMs: number
}

/** Rejects with what the other does, and with PEER_UNREACHABLE when it says nothing any more. */
export async function remoteVisit(
  { client, owner, function: name, asked, timeoutMs }: RemoteVisit,
  order: Pick<VisitOrder, 'signal' | 'progressed'>,
): Promise<VisitReport> {
  const path = visitPath(name, randomUUID())
  const body = JSON.stringify(asked)
  // Not under the signal: a visit that has begun is to tell what it has come to.
  const answer = await client.open(owner, { method: 'POST', path, body, timeoutMs })
  await refuseUnlessOk(owner, answer, timeoutMs)
  let breaking: NodeJS.Timeout | undefined
  const end = () => {
    const why = order.signal.reason === 'drained' ? 'drained' : 'cancelled'
    client
      .ask(owner, { method: 'DELETE', path: `${path}?why=${why}`, timeoutMs })
      // One that stops takes no request any more, and is about to tell by itself. Else it ends with its request.
      .catch((error: unknown) => {
        if (answer.destroyed) return
        breaking = setTimeout(() => answer.destroy(asHostError(error)), timeoutMs)
      })
  }
  order.signal.addEventListener('abort', end)
  if (order.signal.aborted) end()
  try {
    for await (const line of linesOf(owner, answer, timeoutMs)) {
      if ('done' in line) return line.done
      if ('error' in line) throw told(owner, line)
      order.progressed(line)
    }
    throw unreachable(owner, 'its answer broke off')
  } finally {
    order.signal.removeEventListener('abort', end)
    clearTimeout(breaking)
    answer.destroy()
  }
}

async function* linesOf(
  owner: Peer,
  answer: PeerStream,
  timeoutMs: number,
): AsyncGenerator<VisitLine, undefined> {
  const splitter = new LineSplitter()
  const pieces = answer[Symbol.asyncIterator]()
  for (;;) {
    const piece = await withinTime(owner, answer, pieces.next(), timeoutMs)
    if (piece.done === true) return
    for (const line of splitter.push(piece.value)) yield JSON.parse(line.toString())
  }
}

function told({ instance }: Peer, line: { readonly error: unknown }): HostError {
  const { code, message, details } = errorIn(Buffer.from(JSON.stringify(line)))
  return new HostError(
    isErrorCode(code) ? code : 'INTERNAL',
    `the instance ${instance} says: ${String(message)}`,
    isObject(details) ? { details } : {},
  )
}
