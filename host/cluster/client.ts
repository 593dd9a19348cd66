// Asks another instance over HTTP: kept connections, a time-out, and what goes wrong in words.
import {
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { urlToHttpOptions } from 'node:url'
import { HostError } from '../errors.js'
import { type CheckedBody, checkAnswer, checkedStream, type PeerStream } from './answer-check.js'
import { askedHeader } from './headers.js'
import { noProof, proofHeader, proveRequest, writeProof } from './proof.js'
import { errorIn, unreachable } from './refusal.js'

export interface Peer {
  readonly instance: string
  readonly address: string
}

export interface PeerRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'DELETE'
  /** With its query. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Until all of the answer is there; of a stream until it begins. */
  readonly timeoutMs: number
  /** Whoever asks has gone. */
  readonly signal?: AbortSignal
}

export interface PeerAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** As it goes out. */
interface Sent extends Omit<PeerRequest, 'headers' | 'body'> {
  readonly headers: Readonly<Record<string, string>>
  readonly sent: Buffer | undefined
}

interface Opened {
  readonly answer: IncomingMessage
  readonly body: CheckedBody
}

/**
 * Where the cluster has a secret, what is asked is proven, and what is answered has to be. A request that changes something is taken once,
 * however often it comes.
 */
export class PeerClient implements Disposable {
  readonly #secret: string | undefined
  readonly #plain = new HttpAgent({ keepAlive: true, maxFreeSockets: 64 })
  readonly #tls = new HttpsAgent({ keepAlive: true, maxFreeSockets: 64 })

  /** Undefined: nobody proves anything. */
  constructor(secret: string | undefined) {
    this.#secret = secret
  }

  [Symbol.dispose](): void {
    this.#plain.destroy()
    this.#tls.destroy()
  }

  /** Throws PEER_UNREACHABLE, PEER_REFUSED, or the signal's reason. */
  async ask(peer: Peer, request: PeerRequest): Promise<PeerAnswer> {
    using limit = new Limit(peer, request)
    const { answer, body } = await this.#open(peer, request, limit)
    return {
      status: answer.statusCode ?? 0,
      headers: answer.headers,
      body: await read(answer, body, limit),
    }
  }

  /** An answer whose body is still to come: whoever takes it ends it, too. What is wrong with it is told by its iterator. */
  async open(peer: Peer, request: PeerRequest): Promise<PeerStream> {
    using limit = new Limit(peer, request)
    const { answer, body } = await this.#open(peer, request, limit)
    return checkedStream(answer, body)
  }

  async #open(peer: Peer, request: PeerRequest, limit: Limit): Promise<Opened> {
    const { method, path } = request
    const secret = this.#secret
    const sent = request.body === undefined ? undefined : Buffer.from(request.body)
    const proof =
      secret === undefined
        ? undefined
        : proveRequest(secret, { method, path, to: peer.instance }, sent ?? '')
    const headers = {
      ...request.headers,
      [proofHeader]: proof === undefined ? noProof : writeProof(proof),
      [askedHeader]: peer.instance,
      ...(sent === undefined ? {} : { 'content-length': String(sent.length) }),
    }
    const answer = await this.#send(peer, { ...request, headers, sent }, limit, true)
    try {
      const body = checkAnswer(answer, { peer, method, secret, request: proof?.mac })
      if (answer.statusCode !== 403) return { answer, body }
      throw refused(peer, await read(answer, body, limit))
    } catch (error) {
      answer.destroy()
      throw error
    }
  }

  async #send(peer: Peer, request: Sent, limit: Limit, isKept: boolean): Promise<IncomingMessage> {
    const { method, path, headers, sent } = request
    const isTls = peer.address.startsWith('https:')
    const agent = isTls ? this.#tls : this.#plain
    const outgoing = (isTls ? httpsRequest : httpRequest)({
      ...urlToHttpOptions(new URL(peer.address)),
      method,
      // Apart from the URL, in which keys like ".." would be gone.
      path,
      // One of its own for a second try: another kept connection may have been closed, too.
      agent: isKept ? agent : false,
      headers,
      signal: limit.signal,
    })
    try {
      return await new Promise<IncomingMessage>((resolve, reject) => {
        outgoing.on('response', resolve)
        outgoing.on('error', reject)
        outgoing.end(sent)
      })
    } catch (cause) {
      // The other end has closed a connection that was idle, just as it was used again. Had it taken the request, it takes no second one.
      if (isKept && outgoing.reusedSocket && !limit.signal.aborted) {
        return await this.#send(peer, request, limit, false)
      }
      throw limit.failure(cause)
    }
  }
}

/** What ends one request: its time, or whoever asks for it. */
class Limit implements Disposable {
  readonly #peer: Peer
  readonly #request: PeerRequest
  readonly #end = new AbortController()
  readonly #timer: NodeJS.Timeout
  readonly #stop = () => this.#end.abort()
  #isLate = false

  constructor(peer: Peer, request: PeerRequest) {
    this.#peer = peer
    this.#request = request
    this.#timer = setTimeout(() => {
      this.#isLate = true
      this.#stop()
    }, request.timeoutMs)
    if (request.signal?.aborted) this.#stop()
    else request.signal?.addEventListener('abort', this.#stop)
  }

  get signal(): AbortSignal {
    return this.#end.signal
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    this.#request.signal?.removeEventListener('abort', this.#stop)
  }

  failure(cause: unknown): unknown {
    const { signal, timeoutMs } = this.#request
    if (signal?.aborted) return signal.reason
    const why = this.#isLate ? `nothing within ${timeoutMs} ms` : codeOf(cause)
    return unreachable(this.#peer, why, cause)
  }
}

/** All of it. */
async function read(answer: IncomingMessage, body: CheckedBody, limit: Limit): Promise<Buffer> {
  const pieces: Buffer[] = []
  try {
    for await (const bytes of answer) pieces.push(...body.take(bytes))
  } catch (cause) {
    throw cause instanceof HostError ? cause : limit.failure(cause)
  }
  body.end()
  const [only] = pieces
  return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces)
}

const refused = ({ instance, address }: Peer, body: Buffer): HostError =>
  new HostError(
    'PEER_REFUSED',
    `the instance ${instance} at ${address} does not do what this one asks: ${String(errorIn(body).message ?? 'it does not say why')}`,
  )

const codeOf = (cause: unknown): string =>
  cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
