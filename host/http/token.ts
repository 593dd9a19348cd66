// Tokens: where in a stream an emit landed, for a reader that wants to wait until a table reflects it.
import { HostError } from '../errors.js'

export interface Token {
  readonly stream: string
  readonly topicId: string
  /** By partition the offset of the last record. */
  readonly offsets: ReadonlyMap<number, number>
}

/** The first field, so that tokens of another form can be told apart one day. */
const form = 1

export function encodeToken({ stream, topicId, offsets }: Token): string {
  return Buffer.from(JSON.stringify([form, stream, topicId, ...[...offsets].flat()])).toString(
    'base64url',
  )
}

/** Throws BAD_TOKEN for what no host has given out. */
export function decodeToken(text: string): Token {
  const fields = parse(text)
  const [found, stream, topicId, ...pairs] = fields
  const isWhole =
    found === form &&
    typeof stream === 'string' &&
    typeof topicId === 'string' &&
    pairs.length >= 2 &&
    pairs.length % 2 === 0
  if (!isWhole) throw badToken(text)
  const offsets = new Map<number, number>()
  for (let i = 0; i < pairs.length; i += 2) {
    const [partition, offset] = [pairs[i], pairs[i + 1]]
    if (!isCount(partition) || !isCount(offset)) throw badToken(text)
    offsets.set(partition, offset)
  }
  return { stream, topicId, offsets }
}

function parse(text: string): unknown[] {
  const bytes = Buffer.from(text, 'base64url')
  // Buffer skips what is no base64: a garbled token must not pass for another.
  if (bytes.toString('base64url') !== text) throw badToken(text)
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    if (Array.isArray(value)) return value
  } catch (cause) {
    throw badToken(text, cause)
  }
  throw badToken(text)
}

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0

function badToken(text: string, cause?: unknown): HostError {
  const shown = text.length > 40 ? `${text.slice(0, 37)}…` : text
  return new HostError(
    'BAD_TOKEN',
    `${JSON.stringify(shown)} is no token: take the one that an emit answered with, as it is`,
    { cause },
  )
}
