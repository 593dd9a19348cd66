// What a request names: its path and query as they were sent, and the strict decoding of both.
import { isUtf8 } from 'node:buffer'
import { HostError } from '../errors.js'
import { nearest } from '../nearest.js'
import type { HttpEnv } from './deps.js'

/** A fetch Request's URL has been normalised: in it the keys "." and ".." are gone. Node's own request has the target as sent. */
export function requestTarget(
  request: Request,
  env: Partial<HttpEnv['Bindings']> | undefined,
): string {
  const sent = env?.incoming?.url
  if (sent?.startsWith('/')) return sent
  const start = request.url.indexOf('/', request.url.indexOf('://') + 3)
  return start < 0 ? '/' : request.url.slice(start)
}

/** The path without its query, escapes kept. */
export function requestPath(
  request: Request,
  env: Partial<HttpEnv['Bindings']> | undefined,
): string {
  const target = requestTarget(request, env)
  const query = target.indexOf('?')
  return query < 0 ? target : target.slice(0, query)
}

/** The part of a path from its nth segment on, counted from 1, up to the next slash. */
export function segment(path: string, nth: number): string {
  let start = 0
  for (let i = 0; i < nth; i++) start = path.indexOf('/', start) + 1
  const end = path.indexOf('/', start)
  return end < 0 ? path.slice(start) : path.slice(start, end)
}

/** ASCII without a percent sign stands for itself: most keys and all names of tables do. */
const plain = /^[!-$&-~]*$/

/** The bytes that a segment stands for, UTF-8 ensured. Throws BAD_KEY. */
export function decodeBytes(escaped: string, what = 'the key'): Buffer {
  if (plain.test(escaped)) return Buffer.from(escaped, 'latin1')
  const bytes = percentDecode(escaped, what)
  if (isUtf8(bytes)) return bytes
  throw new HostError(
    'BAD_KEY',
    `${what} ${JSON.stringify(escaped)} is not UTF-8: encode it as UTF-8, then in percent escapes`,
  )
}

export const decodeText = (escaped: string, what?: string): string =>
  plain.test(escaped) ? escaped : decodeBytes(escaped, what).toString('utf8')

function percentDecode(escaped: string, what: string): Buffer {
  const latin = Buffer.from(escaped, 'latin1')
  if (!escaped.includes('%')) return latin
  let length = 0
  for (let i = 0; i < latin.length; i++) {
    let byte = latin[i] ?? 0
    if (byte === 0x25) {
      const hex = escaped.slice(i + 1, i + 3)
      if (!/^[0-9a-fA-F]{2}$/.test(hex)) {
        throw new HostError(
          'BAD_KEY',
          `${what} ${JSON.stringify(escaped)} has "%${hex}", which is no percent escape: write a percent sign as %25`,
        )
      }
      byte = Number.parseInt(hex, 16)
      i += 2
    }
    latin[length++] = byte
  }
  return latin.subarray(0, length)
}

/** A record's key. Throws BAD_KEY, KEY_TOO_LONG. */
export function checkKey(key: Buffer, maxKeyBytes: number): Buffer {
  if (key.length === 0) {
    throw new HostError('BAD_KEY', 'the key is empty: a key has at least one byte')
  }
  if (key.length > maxKeyBytes) {
    throw new HostError(
      'KEY_TOO_LONG',
      `the key has ${key.length} bytes, allowed are ${maxKeyBytes} (limits.maxKeyBytes)`,
    )
  }
  return key
}

/** Query parameters, each with its values in order; a name that is not known is refused: misspelt, it would do nothing. */
export function readQuery(target: string, known: readonly string[]): ReadonlyMap<string, string[]> {
  const query = new Map<string, string[]>()
  const start = target.indexOf('?')
  if (start < 0) return query
  for (const pair of target.slice(start + 1).split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    const name = decodeParameter(equals < 0 ? pair : pair.slice(0, equals))
    const value = equals < 0 ? '' : decodeParameter(pair.slice(equals + 1))
    if (!known.includes(name)) {
      const near = nearest(name, known)
      throw new HostError(
        'BAD_REQUEST',
        `there is no query parameter ${JSON.stringify(name)} here: ${near === undefined ? `known are ${known.join(', ')}` : `did you mean ${near}?`}`,
      )
    }
    const values = query.get(name)
    if (values === undefined) query.set(name, [value])
    else values.push(value)
  }
  return query
}

const decodeParameter = (text: string): string =>
  decodeText(text.replaceAll('+', '%20'), 'the query parameter')

/** A whole number within bounds; absent: undefined. */
export function readCount(
  query: ReadonlyMap<string, readonly string[]>,
  name: string,
  max: number,
): number | undefined {
  const text = query.get(name)?.at(-1)
  if (text === undefined) return undefined
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (value >= 1 && value <= max) return value
  throw new HostError(
    'BAD_REQUEST',
    `${name} is ${JSON.stringify(text)}: allowed is a whole number from 1 to ${max}`,
  )
}
