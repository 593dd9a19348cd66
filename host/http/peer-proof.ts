// Takes requests from other instances of the cluster alone, and proves each answer to them.
import type { Context, MiddlewareHandler } from 'hono'
import type { Cluster } from '../cluster/cluster.js'
import { answersHeader, askedHeader } from '../cluster/headers.js'
import { PieceWriter } from '../cluster/pieces.js'
import {
  hashOf,
  inPieces,
  proofHeader,
  proveAnswer,
  provenHeaders,
  type RequestProof,
} from '../cluster/proof.js'
import { asHostError, HostError } from '../errors.js'
import type { Logger } from '../logger.js'
import { binaryType, failureAnswer, jsonType, shortBytes } from './answer.js'
import { readBody } from './body.js'
import type { HttpEnv } from './deps.js'
import { Moved, movedAnswer } from './peer-answer.js'
import { requestTarget } from './target.js'

export interface PeerProofDeps {
  readonly cluster: Cluster
  readonly logger: Logger
}

type C = Context<HttpEnv>

const tellEveryMs = 60_000

/** `isReading`: what is posted to this path changes nothing. */
export function peerProof(
  { cluster, logger }: PeerProofDeps,
  isReading: (path: string) => boolean,
): MiddlewareHandler<HttpEnv> {
  const { admission, instance } = cluster

  const provenOf = (c: C): RequestProof | undefined => {
    const { method } = c.req
    const path = requestTarget(c.req.raw, c.env)
    const to = c.req.header(askedHeader) ?? ''
    return admission.proven(c.req.header(proofHeader), { method, path, to })
  }

  /** Throws what keeps it from being done here. */
  const look = async (c: C, proof: RequestProof | undefined): Promise<void> => {
    if (c.req.header(askedHeader) !== instance) {
      throw new Moved(
        `this is ${instance}, and another was asked: if it stays so, two instances have the same http.advertise`,
      )
    }
    if (proof === undefined) return
    const { method, path } = c.req
    // Nobody looks whether these have a body.
    const isGet = method === 'GET' || method === 'HEAD'
    if (!isGet) {
      const body = await bodyOf(c, proof)
      if (hashOf(body) !== proof.body) throw otherBody()
      c.set('body', body)
    }
    admission.once(proof, isGet || isReading(path))
  }

  let toldAt = Number.NEGATIVE_INFINITY
  /** Now and then: who asks is refused each time. */
  const tell = (why: string): void => {
    const now = performance.now()
    if (now - toldAt < tellEveryMs) return
    toldAt = now
    logger.warn(`what another instance asks is refused: ${why}`)
  }

  return async (c, next) => {
    let proof: RequestProof | undefined
    try {
      proof = provenOf(c)
    } catch (error) {
      if (c.req.header(proofHeader) !== undefined) tell(asHostError(error).message)
      answerWith(c, failureAnswer(error, logger))
      c.res.headers.set(answersHeader, instance)
      return
    }
    try {
      await look(c, proof)
      await next()
    } catch (error) {
      answerWith(c, error instanceof Moved ? movedAnswer(error) : failureAnswer(error, logger))
    }
    if (proof !== undefined) answerWith(c, await proven(c, proof))
    c.res.headers.set(answersHeader, instance)
  }

  async function proven({ req, res }: C, { mac: request }: RequestProof): Promise<Response> {
    const secret = admission.credential ?? ''
    const { status } = res
    const type = res.headers.get('content-type')
    const headers = new Headers(res.headers)
    // Else one is put there on the way out.
    if (type === null) headers.set('content-type', binaryType['content-type'])
    const prove = (body: string): string => {
      const told = provenHeaders(req.method).map((name) => headers.get(name))
      const mac = proveAnswer(secret, { request, from: instance, status, headers: told, body })
      headers.set(proofHeader, `${body}.${mac}`)
      return mac
    }
    if (req.method === 'HEAD') {
      prove(hashOf(''))
      return new Response(null, { status, headers })
    }
    if (res.body !== null && !wholeTypes.has(type)) {
      const writer = new PieceWriter(secret, prove(inPieces))
      return new Response(pieced(res.body, writer), { status, headers })
    }
    const body = Buffer.from(await res.arrayBuffer())
    prove(hashOf(body))
    return new Response(sendable(body, type), { status, headers })
  }
}

const otherBody = (): HostError =>
  new HostError('FORBIDDEN', 'the body that has come is not the one that was sent')

/** No more of it than was sent: whoever has heard the head may have put another behind it. */
async function bodyOf(c: C, { length }: RequestProof): Promise<Buffer> {
  try {
    return await readBody(c, length)
  } catch (error) {
    throw asHostError(error).code === 'BODY_TOO_LARGE' ? otherBody() : error
  }
}

/** Of answers that are there when they begin. */
const wholeTypes: ReadonlySet<string | null> = new Set([
  jsonType['content-type'],
  binaryType['content-type'],
])

/** Text in one piece with the head. */
function sendable(body: Buffer, type: string | null): Buffer | string | null {
  if (body.length === 0) return null
  return type === jsonType['content-type'] && body.length <= shortBytes ? body.toString() : body
}

/** In place of the one that is there, whose headers would be put on top. */
function answerWith(c: C, response: Response): void {
  c.res = undefined
  c.res = response
}

/** As fast as it is taken. */
function pieced(body: ReadableStream<Uint8Array>, writer: PieceWriter): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read()
          const pieces = done ? [writer.end()] : writer.write(value)
          for (const piece of pieces) controller.enqueue(piece)
          if (done) controller.close()
        } catch (error) {
          controller.error(error)
        }
      },
      async cancel(reason) {
        await reader.cancel(reason)
      },
    },
    { highWaterMark: 0 },
  )
}
