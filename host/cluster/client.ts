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
import { credentialHeader } from './credential.js'
import { answersHeader, askedHeader } from './headers.js'

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

/** Everything asked here changes nothing, or the same when it is asked twice. */
export class PeerClient implements Disposable {
  readonly #credential: string
  readonly #plain = new HttpAgent({ keepAlive: true, maxFreeSockets: 64 })
  readonly #tls = new HttpsAgent({ keepAlive: true, maxFreeSockets: 64 })

  constructor(credential: string) {
    this.#credential = credential
  }

  [Symbol.dispose](): void {
    this.#plain.destroy()
    this.#tls.destroy()
  }

  /** Throws PEER_UNREACHABLE, PEER_REFUSED, or the signal's reason. */
  async ask(peer: Peer, request: PeerRequest): Promise<PeerAnswer> {
    using limit = new Limit(peer, request)
    const answer = await this.#open(peer, request, limit)
    const chunks: Buffer[] = []
    try {
      for await (const chunk of answer) chunks.push(chunk)
    } catch (cause) {
      throw limit.failure(cause)
    }
    return {
      status: answer.statusCode ?? 0,
      headers: answer.headers,
      body: chunks.length === 1 ? (chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(chunks),
    }
  }

  /** An answer whose body is still to come: whoever takes it ends it, too. */
  async open(peer: Peer, request: PeerRequest): Promise<IncomingMessage> {
    using limit = new Limit(peer, request)
    return await this.#open(peer, request, limit)
  }

  async #open(peer: Peer, request: PeerRequest, limit: Limit): Promise<IncomingMessage> {
    const answer = await this.#send(peer, request, limit, true)
    if (answer.headers[answersHeader] === undefined) {
      answer.destroy()
      throw new HostError(
        'PEER_UNREACHABLE',
        `what answers at ${peer.address} is no instance of millrace (status ${answer.statusCode}): http.advertise of ${peer.instance} has to be the URL of that instance itself`,
      )
    }
    if (answer.statusCode === 403) {
      answer.destroy()
      throw new HostError(
        'PEER_REFUSED',
        `the instance ${peer.instance} at ${peer.address} does not take this one for an instance of its cluster: give all the same secret, in MILLRACE_CLUSTER_SECRET`,
      )
    }
    return answer
  }

  async #send(
    peer: Peer,
    request: PeerRequest,
    limit: Limit,
    isKept: boolean,
  ): Promise<IncomingMessage> {
    const { method, path, headers = {} } = request
    const body = request.body === undefined ? undefined : Buffer.from(request.body)
    const isTls = peer.address.startsWith('https:')
    const agent = isTls ? this.#tls : this.#plain
    const outgoing = (isTls ? httpsRequest : httpRequest)({
      ...urlToHttpOptions(new URL(peer.address)),
      method,
      // Apart from the URL, in which keys like ".." would be gone.
      path,
      // One of its own for a second try: another kept connection may have been closed, too.
      agent: isKept ? agent : false,
      headers: {
        ...headers,
        [credentialHeader]: this.#credential,
        [askedHeader]: peer.instance,
        ...(body === undefined ? {} : { 'content-length': body.length }),
      },
      signal: limit.signal,
    })
    try {
      return await new Promise<IncomingMessage>((resolve, reject) => {
        outgoing.on('response', resolve)
        outgoing.on('error', reject)
        outgoing.end(body)
      })
    } catch (cause) {
      // The other end has closed a connection that was idle, just as it was used again.
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

const codeOf = (cause: unknown): string =>
  cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)

export const unreachable = (peer: Peer, why: string, cause?: unknown): HostError =>
  new HostError(
    'PEER_UNREACHABLE',
    `the instance ${peer.instance} does not answer at ${peer.address} (${why}): look whether it runs, and whether this host reaches that address (http.advertise)`,
    { cause },
  )
