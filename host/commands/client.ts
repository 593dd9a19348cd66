// The HTTP client of the commands: kept connections, a bearer token, and patience with a host that is busy or starts anew.
import { Agent, type IncomingMessage, request } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { HostError, isErrorCode } from '../errors.js'
import { isObject } from '../object.js'

export interface ClientOptions {
  readonly url: string
  readonly token: string | undefined
  /** How long a host that is busy, recovering or not there for a moment is asked again. */
  readonly patienceMs: number
  /** Somebody sees to it that the host is there: refusing a connection, it is being started anew. */
  readonly isKept?: () => boolean
  /** Ends every wait and every request. */
  readonly signal?: AbortSignal
}

export interface Asked {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** With its query. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/** Of these the host has done nothing yet. */
const passing: readonly string[] = ['OVERLOADED', 'PEER_UNREACHABLE', 'RECOVERING', 'STOPPING']
const nothingSent: readonly string[] = [
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]

export class HostClient implements Disposable {
  readonly #options: ClientOptions
  readonly #agent = new Agent({ keepAlive: true })
  /** One that has answered is there: refusing a connection then, it is being started anew. */
  #hasAnswered = false

  constructor(options: ClientOptions) {
    this.#options = options
  }

  /** The body of a good answer; of any other the host's error is thrown. */
  async text(asked: Asked): Promise<string> {
    return (await body(await this.open(asked), this.#options.url)).toString()
  }

  async json<Body>(asked: Asked): Promise<Body> {
    return JSON.parse(await this.text(asked))
  }

  /** A good answer, its body still to come. */
  async open(asked: Asked): Promise<IncomingMessage> {
    const { patienceMs, signal, isKept = () => false } = this.#options
    const since = performance.now()
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await this.#send(asked)
        this.#hasAnswered = true
        const status = answer.statusCode ?? 0
        if (status < 300) return answer
        throw errorOf(await body(answer, this.#options.url), status)
      } catch (error) {
        const mayPass =
          error instanceof HostError &&
          (passing.includes(error.code) ||
            (error.code === 'HOST_UNREACHABLE' && (this.#hasAnswered || isKept())))
        // The host's own `Retry-After` is a second; its queue is often empty before.
        const waitMs = Math.min(1000, 50 * 2 ** attempt)
        if (!mayPass || performance.now() - since + waitMs > patienceMs) throw error
        await pause(waitMs, undefined, { signal })
      }
    }
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }

  async #send({ method, path, headers = {}, body: given }: Asked): Promise<IncomingMessage> {
    const { url, token, signal } = this.#options
    // As bytes: Node would write the headers in the encoding of a text that it sends along with them.
    const body = given === undefined ? undefined : Buffer.from(given)
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` }
    return await new Promise((resolve, reject) => {
      const outgoing = request(url + path, {
        method,
        agent: this.#agent,
        headers: {
          ...headers,
          ...authorization,
          ...(body === undefined ? {} : { 'content-length': body.length }),
        },
        ...(signal === undefined ? {} : { signal }),
      })
      outgoing.on('response', resolve)
      outgoing.on('error', (cause) => reject(signal?.aborted ? cause : unanswered(url, cause)))
      outgoing.end(body)
    })
  }
}

/** Rejects with ANSWER_LOST when it breaks off. */
async function body(answer: IncomingMessage, url: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of answer) chunks.push(chunk)
  } catch (cause) {
    throw answerLost(url, cause)
  }
  return Buffer.concat(chunks)
}

function errorOf(bytes: Buffer, status: number): HostError {
  const text = bytes.toString()
  const said = parsed(text)
  const error = isObject(said) && isObject(said.error) ? said.error : undefined
  if (error === undefined || !isErrorCode(error.code)) {
    return new HostError(
      'INTERNAL',
      `what answers there is no host of millrace: status ${status}, ${JSON.stringify(text.slice(0, 100))}`,
    )
  }
  return new HostError(error.code, String(error.message), {
    ...(error.details === undefined ? {} : { details: error.details }),
  })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function unanswered(url: string, cause: Error): HostError {
  // Of a name with several addresses every refusal is within.
  const causes: unknown[] = cause instanceof AggregateError ? cause.errors : [cause]
  const codes = causes.map((each) => (isObject(each) && 'code' in each ? String(each.code) : ''))
  const code = codes[0] ?? ''
  if (codes.every((each) => nothingSent.includes(each))) {
    return new HostError(
      'HOST_UNREACHABLE',
      `no host answers at ${url} (${code}): start it with millrace dev, or say where it is with --url or --root`,
      { cause },
    )
  }
  return answerLost(url, cause, code)
}

function answerLost(url: string, cause: unknown, code = ''): HostError {
  const why = code || (cause instanceof Error ? cause.message : String(cause))
  return new HostError(
    'ANSWER_LOST',
    `the connection to ${url} broke before the answer was there (${why}): whether the host did it is unknown`,
    { cause },
  )
}
