// How instances know each other: each request between them, and each answer, proves that its sender has the cluster's secret. What is sent proves nothing else.
import { createHmac, hash, randomBytes, timingSafeEqual } from 'node:crypto'

/** On requests between instances, and on their answers. */
export const proofHeader = 'millrace-cluster'

/** Sent where there is no secret: it opens nothing that needs one. */
export const noProof = 'open'

/** In the place of a body's hash: it comes in pieces, each with a proof of its own. */
export const inPieces = 'pieces'

export interface RequestSaid {
  readonly method: string
  /** With its query, as it is sent. */
  readonly path: string
  /** The instance that is asked. */
  readonly to: string
}

export interface RequestProof {
  /** When it was sent, by the sender's clock. */
  readonly time: number
  /** Of this request alone. */
  readonly nonce: string
  /** Of its body, in bytes: no more than that is read. */
  readonly length: number
  /** Hash of its body. */
  readonly body: string
  readonly mac: string
}

export interface AnswerSaid {
  /** Of the request that it answers. */
  readonly request: string
  /** The instance that answers. */
  readonly from: string
  readonly status: number
  /** Of `provenHeaders`. */
  readonly headers: readonly (string | null | undefined)[]
  /** Hash of its body, or `inPieces`. */
  readonly body: string
}

/** What the one that asks goes by. Of a HEAD the length, too: there is no body to tell it. */
export const provenHeaders = (method: string): readonly string[] =>
  method === 'HEAD' ? [...toldHeaders, 'content-length'] : toldHeaders

export const toldHeaders = ['content-type', 'millrace-stale', 'retry-after'] as const

export const hashOf = (body: string | Uint8Array): string => hash('sha256', body, 'base64url')

export function proveRequest(
  secret: string,
  said: RequestSaid,
  body: string | Uint8Array,
): RequestProof {
  const nonce = randomBytes(16).toString('base64url')
  const sent = { time: Date.now(), nonce, length: Buffer.byteLength(body), body: hashOf(body) }
  return { ...sent, mac: macOf(secret, requestText(said, sent)) }
}

export const writeProof = ({ time, nonce, length, body, mac }: RequestProof): string =>
  [time, nonce, length, body, mac].join('.')

/** Undefined: nobody who has the secret has sent this. */
export function readProof(
  secret: string,
  said: RequestSaid,
  header: string,
): RequestProof | undefined {
  const [time = '', nonce = '', length = '', body = '', mac = '', ...more] = header.split('.')
  if (more.length > 0 || ![time, length].every((text) => /^\d{1,15}$/.test(text))) return undefined
  const sent = { time: Number(time), nonce, length: Number(length), body }
  return isSame(mac, macOf(secret, requestText(said, sent))) ? { ...sent, mac } : undefined
}

export const proveAnswer = (secret: string, said: AnswerSaid): string =>
  macOf(secret, answerText(said))

export const isAnswerProven = (secret: string, said: AnswerSaid, mac: string): boolean =>
  isSame(mac, proveAnswer(secret, said))

/** Of the nth piece of the answer that has this proof. */
export const provePiece = (
  secret: string,
  answer: string,
  nth: number,
  piece: Uint8Array,
): Buffer =>
  createHmac('sha256', secret).update(`piece\n${answer}\n${nth}\n`).update(piece).digest()

// No part can have a line end in it: HTTP has none in its heads.
const requestText = (
  { method, path, to }: RequestSaid,
  { time, nonce, length, body }: Omit<RequestProof, 'mac'>,
): string => ['request', method, path, to, time, nonce, length, body].join('\n')

const answerText = ({ request, from, status, headers, body }: AnswerSaid): string =>
  ['answer', request, from, status, ...headers, body].join('\n')

const macOf = (secret: string, text: string): string =>
  createHmac('sha256', secret).update(text).digest('base64url')

/** The time that it takes tells nothing of where they differ. */
function isSame(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
