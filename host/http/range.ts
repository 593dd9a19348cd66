// Which keys a list of a table takes in, and where its next page begins.
import { HostError } from '../errors.js'
import type { RangeOptions } from '../tables/store.js'

export interface RangeQuery {
  readonly prefix: string | undefined
  /** Inclusive. */
  readonly from: string | undefined
  /** Exclusive. */
  readonly to: string | undefined
  readonly cursor: string | undefined
}

/** The narrowest of all bounds. Throws BAD_CURSOR. */
export function toRange({ prefix, from, to, cursor }: RangeQuery): RangeOptions {
  const prefixBytes = Buffer.from(prefix ?? '')
  const lower = [
    prefixBytes,
    Buffer.from(from ?? ''),
    ...(cursor === undefined ? [] : [behind(decodeCursor(cursor))]),
  ].reduce((a, b) => (Buffer.compare(a, b) < 0 ? b : a))
  const upper = [
    ...(to === undefined ? [] : [Buffer.from(to)]),
    ...(prefixBytes.length === 0 ? [] : [afterPrefix(prefixBytes)]),
  ].sort(Buffer.compare)[0]
  return {
    ...(lower.length === 0 ? {} : { from: lower }),
    ...(upper === undefined ? {} : { to: upper }),
  }
}

/** The last key of a page, marked: keys that come and go meanwhile change nothing about where the next begins. */
export const encodeCursor = (lastKey: Buffer): string =>
  Buffer.concat([Buffer.of(1), lastKey]).toString('base64url')

function decodeCursor(cursor: string): Buffer {
  const bytes = Buffer.from(cursor, 'base64url')
  if (bytes[0] === 1 && bytes.toString('base64url') === cursor) return bytes.subarray(1)
  throw new HostError(
    'BAD_CURSOR',
    `${JSON.stringify(cursor)} is no cursor: take the one of the page before, as it is`,
  )
}

/** The first key that may come after this one. */
const behind = (key: Buffer): Buffer => Buffer.concat([key, Buffer.of(0)])

/** The first key that has the prefix no more; UTF-8 has no byte 0xff, so there always is one. */
function afterPrefix(prefix: Buffer): Buffer {
  const after = Buffer.from(prefix)
  const last = after.length - 1
  after[last] = (after[last] ?? 0) + 1
  return after
}
