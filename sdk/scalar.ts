// The codecs of single values: text, 64-bit integers, and bytes as they are.
import { type BytesCodec, type TextCodec, textCodec } from './codec.js'

const smallest = -(2n ** 63n)
const largest = 2n ** 63n - 1n

/**
 * Text, as UTF-8.
 *
 * Encoding throws a `TypeError` for what is no string, decoding one for bytes that are no UTF-8.
 *
 * @example
 * export default defineProcessor({
 *   inputs: { searches: string },
 *   on: { searches: (ctx, term) => ctx.log.info(`somebody looks for ${term}`) },
 * })
 */
export const string: TextCodec<string> = /* @__PURE__ */ textCodec(
  'string',
  (value: string) => {
    if (typeof value !== 'string') throw new TypeError(`the string codec got ${nameOf(value)}`)
    return value
  },
  (text) => text,
)

/**
 * A signed 64-bit integer: `bigint` when read, `bigint` or a safe integer `number` when written; decimal text in the log.
 *
 * Encoding throws a `TypeError` for another type, or for a `number` that is no safe integer; a `RangeError` beyond 64 bits.
 * Decoding throws a `SyntaxError` for other text, a `RangeError` beyond 64 bits.
 *
 * @example
 * export default defineProcessor({
 *   inputs: { payments: int64 },
 *   table: int64,
 *   on: { payments: (ctx, cents) => ctx.set((ctx.get() ?? 0n) + cents) },
 * })
 */
export const int64: TextCodec<bigint, bigint | number> = /* @__PURE__ */ textCodec(
  'int64',
  (value: bigint | number) => {
    if (typeof value === 'number') {
      if (Number.isSafeInteger(value)) return String(value === 0 ? 0 : value)
      throw new TypeError(`the int64 codec got ${value}, no safe integer: give a bigint`)
    }
    if (typeof value !== 'bigint') throw new TypeError(`the int64 codec got ${nameOf(value)}`)
    return String(withinInt64(value))
  },
  (text) => {
    if (!/^-?(0|[1-9]\d*)$/.test(text)) {
      throw new SyntaxError(`${JSON.stringify(shorten(text))} is no decimal integer`)
    }
    // More digits than any 64-bit integer has: not worth the time of making a bigint.
    if (text.length > 20) throw new RangeError(`${shorten(text)} does not fit into 64 bits`)
    return withinInt64(BigInt(text))
  },
)

/**
 * Bytes as they are; a handler gets a copy of its own.
 *
 * Encoding throws a `TypeError` for what is no `Uint8Array`.
 *
 * @example
 * export default defineProcessor({
 *   inputs: { images: bytes },
 *   table: int64,
 *   on: { images: (ctx, image) => ctx.set(image.byteLength) },
 * })
 */
export const bytes: BytesCodec = /* @__PURE__ */ Object.freeze({
  kind: 'bytes' as const,
  encode(value: Uint8Array) {
    if (value instanceof Uint8Array) return value
    throw new TypeError(`the bytes codec got ${nameOf(value)}`)
  },
  decode: (value: Uint8Array) => value,
})

function withinInt64(value: bigint): bigint {
  if (value >= smallest && value <= largest) return value
  throw new RangeError(`${value} does not fit into 64 bits`)
}

const shorten = (text: string): string => (text.length > 40 ? `${text.slice(0, 40)}…` : text)

function nameOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  return typeof value === 'object'
    ? `an ${value.constructor?.name ?? 'object'}`
    : `a ${typeof value}`
}
