// Reads a request's body, never more of it than is allowed.
import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { HostError } from '../errors.js'
import type { HttpContext } from './deps.js'

/** The whole body. Throws BODY_TOO_LARGE, by Content-Length before the first byte is read. */
export async function readBody(c: HttpContext, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of bodyChunks(c, maxBytes)) chunks.push(chunk)
  const [only] = chunks
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks)
}

/** The body as it comes. Leaving early leaves the connection open: the answer still has to go out. */
export async function* bodyChunks(c: HttpContext, maxBytes: number): AsyncGenerator<Buffer> {
  const encoding = c.req.header('content-encoding')
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new HostError(
      'BAD_REQUEST',
      `a body in content-encoding ${encoding} is not read: send it as it is`,
    )
  }
  const declared = Number(c.req.header('content-length') ?? 0)
  if (declared > maxBytes) throw tooLarge(`${declared} bytes`, maxBytes)
  let bytes = 0
  for await (const chunk of source(c)) {
    bytes += chunk.length
    if (bytes > maxBytes) throw tooLarge('more', maxBytes)
    yield chunk
  }
}

/** Text without a byte order mark. Throws BAD_JSON when it is not UTF-8. */
export function toText(body: Buffer, what: string): string {
  if (!isUtf8(body)) throw new HostError('BAD_JSON', `${what} is not UTF-8: JSON has to be`)
  const hasMark = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf
  return body.toString('utf8', hasMark ? 3 : 0)
}

function source(c: HttpContext): AsyncIterable<Buffer> | Iterable<Buffer> {
  const read = c.get('body')
  if (read !== undefined) return [read]
  // Through Node's own request: Hono's lightweight one would first be made into a whole fetch Request.
  const incoming = (c.env as Partial<HttpContext['env']> | undefined)?.incoming
  return incoming === undefined ? fromStream(c.req.raw.body) : fromNode(incoming)
}

async function* fromNode(incoming: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    // `destroyOnReturn: false`: what is left is drained, so that an early answer reaches the client.
    yield* incoming.iterator({ destroyOnReturn: false })
  } catch (cause) {
    throw new HostError('BAD_REQUEST', 'the connection broke before the whole body was there', {
      cause,
    })
  }
}

async function* fromStream(stream: ReadableStream<Uint8Array> | null): AsyncGenerator<Buffer> {
  if (stream === null) return
  for await (const chunk of stream)
    yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
}

function tooLarge(found: string, maxBytes: number): HostError {
  return new HostError(
    'BODY_TOO_LARGE',
    `the body has ${found}, allowed are ${maxBytes} bytes (limits.maxBodyBytes): send it in parts`,
  )
}
