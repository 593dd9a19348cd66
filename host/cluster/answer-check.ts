// Takes an answer only from the instance that was asked, and only as that has sent it.
import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { pipeline, type Readable, Transform } from 'node:stream'
import { HostError } from '../errors.js'
import type { Peer } from './client.js'
import { answersHeader } from './headers.js'
import { PieceReader } from './pieces.js'
import { inPieces, isAnswerProven, proofHeader, provenHeaders } from './proof.js'
import { movedStatus, unreachable } from './refusal.js'

/** An answer whose body is still to come. */
export interface PeerStream extends Readable {
  readonly statusCode?: number | undefined
  readonly headers: IncomingHttpHeaders
}

export interface CheckedBody {
  /** What is there of it with these bytes. Throws PEER_REFUSED. */
  take(bytes: Buffer): Buffer[]
  /** Nothing comes behind it. Throws PEER_REFUSED, PEER_UNREACHABLE. */
  end(): void
}

export interface AnswerExpected {
  readonly peer: Peer
  readonly method: string
  /** Both undefined: there is no secret, and whoever answers is believed. */
  readonly secret: string | undefined
  /** Proof of the request. */
  readonly request: string | undefined
}

/** How its body is to be taken. Throws PEER_UNREACHABLE for what is at another's address, PEER_REFUSED. */
export function checkAnswer(
  answer: IncomingMessage,
  { peer, method, secret, request }: AnswerExpected,
): CheckedBody {
  const { statusCode = 0, headers } = answer
  const from = headers[answersHeader]
  if (typeof from !== 'string') {
    throw new HostError(
      'PEER_UNREACHABLE',
      `what answers at ${peer.address} is no instance of millrace (status ${statusCode}): http.advertise of ${peer.instance} has to be the URL of that instance itself`,
    )
  }
  const body = secret === undefined ? unchecked : provenBody()
  if (from !== peer.instance && statusCode !== movedStatus) {
    throw unreachable(peer, `${from} answers in its place`)
  }
  return body

  function provenBody(): CheckedBody {
    const shown = headers[proofHeader]
    // Before it knows who asks, it proves nothing.
    if (typeof shown !== 'string' && statusCode === 403) throw notTaken(peer)
    const [hash = '', mac = ''] = String(shown).split('.')
    const told = provenHeaders(method).map((name) => headers[name]?.toString())
    const said = { from: String(from), status: statusCode, headers: told, body: hash }
    if (!isAnswerProven(secret ?? '', { ...said, request: request ?? '' }, mac)) throw forged(peer)
    return hash === inPieces
      ? new PiecedBody(peer, new PieceReader(secret ?? '', mac))
      : new WholeBody(peer, hash)
  }
}

/** As it comes. */
export const checkedStream = (answer: IncomingMessage, body: CheckedBody): PeerStream =>
  body === unchecked ? answer : new CheckedStream(answer, body)

const unchecked: CheckedBody = { take: (bytes) => [bytes], end: () => {} }

class WholeBody implements CheckedBody {
  readonly #peer: Peer
  readonly #expected: string
  readonly #hash = createHash('sha256')

  constructor(peer: Peer, expected: string) {
    this.#peer = peer
    this.#expected = expected
  }

  take(bytes: Buffer): Buffer[] {
    this.#hash.update(bytes)
    return [bytes]
  }

  end(): void {
    if (this.#hash.digest('base64url') !== this.#expected) throw forged(this.#peer)
  }
}

class PiecedBody implements CheckedBody {
  readonly #peer: Peer
  readonly #reader: PieceReader

  constructor(peer: Peer, reader: PieceReader) {
    this.#peer = peer
    this.#reader = reader
  }

  take(bytes: Buffer): Buffer[] {
    const found = this.#reader.read(bytes)
    if (found === undefined) throw forged(this.#peer)
    return found
  }

  end(): void {
    if (!this.#reader.isWhole) throw unreachable(this.#peer, 'its answer broke off')
  }
}

class CheckedStream extends Transform implements PeerStream {
  readonly statusCode: number | undefined
  readonly headers: IncomingHttpHeaders
  readonly #body: CheckedBody

  constructor(answer: IncomingMessage, body: CheckedBody) {
    super()
    this.statusCode = answer.statusCode
    this.headers = answer.headers
    this.#body = body
    // Whoever reads is told of what breaks; whoever leaves ends the answer, too.
    pipeline(answer, this, () => {})
  }

  override _transform(bytes: Buffer, _: unknown, done: (error?: Error | null) => void): void {
    this.#pass(done, () => {
      for (const piece of this.#body.take(bytes)) this.push(piece)
    })
  }

  override _flush(done: (error?: Error | null) => void): void {
    this.#pass(done, () => this.#body.end())
  }

  #pass(done: (error?: Error | null) => void, work: () => void): void {
    try {
      work()
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)))
      return
    }
    done()
  }
}

const notTaken = ({ instance, address }: Peer): HostError =>
  new HostError(
    'PEER_REFUSED',
    `the instance ${instance} at ${address} does not take this one for an instance of its cluster: give all the same secret, in MILLRACE_CLUSTER_SECRET`,
  )

const forged = ({ instance, address }: Peer): HostError =>
  new HostError(
    'PEER_REFUSED',
    `what answers at ${address} does not prove that it is the instance ${instance}: it has another cluster secret, or none (MILLRACE_CLUSTER_SECRET), or poses as it`,
  )
