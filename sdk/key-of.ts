// Keys of several parts as text, in the order of their parts.
import type { KeyCodec } from './key.js'

/**
 * The parts of a key, in the order in which they count.
 *
 * @example
 * const parts: KeyParts = { user: 'text', day: 'integer' }
 */
export type KeyParts = Readonly<Record<string, 'text' | 'integer'>>

/**
 * A key with such parts.
 *
 * @example
 * type Reading = KeyOf<{ sensor: 'text'; at: 'integer' }> // { readonly sensor: string; readonly at: number }
 */
export type KeyOf<Parts extends KeyParts> = {
  readonly [Part in keyof Parts]: Parts[Part] extends 'integer' ? number : string
}

/**
 * The key codec that `keyOf` makes.
 *
 * @example
 * const follows: PartsKeyCodec<{ from: 'text'; to: 'text' }> = keyOf({ from: 'text', to: 'text' })
 */
export interface PartsKeyCodec<Parts extends KeyParts> extends KeyCodec<KeyOf<Parts>> {
  readonly parts: Parts
  /**
   * The text with which all keys begin that have these parts: the first ones, without a gap. For `?prefix=` of a view, and for tests.
   *
   * @example
   * keyOf({ from: 'text', to: 'text' }).prefix({ from: 'alice' }) // 'alice!'
   */
  prefix(parts: Partial<KeyOf<Parts>>): string
}

/** Sorts below whatever a part has in it: of two parts, the one that begins the other comes first. */
const separator = '!'
/** The lowest but for the separator: before what is not written as it is, which is what sorts up to here. */
const escapeMark = '"'
const escaped = /[\0-"]/g
/** From the code of an escaped character to one that is written behind the mark. */
const escapeStep = 0x30
const digitsOf = 'abcdefghijklmnop'

/**
 * A key of several parts. As text its parts are joined by `!` (`alice!bob`), so that keys are in the order of their parts, and those that begin with the same
 * ones lie together. Characters up to `"` are written as `"` and another; integers with a letter for the number of their digits before them (`7` is `a7`,
 * `42` is `b42`), negative ones as what they lack.
 *
 * Throws a `TypeError` for parts that are none. Encoding throws one for a part that is missing or of another kind, decoding a `SyntaxError` for text that is
 * no such key.
 *
 * @example
 * export default defineProcessor({
 *   keys: keyOf({ from: 'text', to: 'text' }),
 *   inputs: { messages: json<{ text: string }>() },
 *   table: int64,
 *   on: { messages: (ctx) => (ctx.key.from === ctx.key.to ? undefined : ctx.set((ctx.get() ?? 0n) + 1n)) },
 * })
 */
export function keyOf<const Parts extends KeyParts>(parts: Parts): PartsKeyCodec<Parts> {
  const names = Object.keys(parts)
  const isRight = names.length > 0 && names.every((name) => isPart(parts[name]))
  if (!isRight || names.some((name) => /^\d+$/.test(name))) {
    throw new TypeError(
      "keyOf takes the parts of a key by name, each 'text' or 'integer', in their order: keyOf({ user: 'text', day: 'integer' }); a name that is a number has no place in an order",
    )
  }
  const written = (key: Readonly<Record<string, unknown>>, some: readonly string[]) =>
    some.map((name) =>
      parts[name] === 'integer' ? integer(name, key[name]) : text(name, key[name]),
    )
  const given = (key: unknown): Readonly<Record<string, unknown>> => {
    if (typeof key === 'object' && key !== null) return key as Record<string, unknown>
    throw new TypeError(`a key with the parts ${names.join(', ')} is needed, not ${nameOf(key)}`)
  }
  const encode = (key: KeyOf<Parts>): string => written(given(key), names).join(separator)
  const made: PartsKeyCodec<Parts> = {
    parts,
    encode,
    decode(from: string) {
      const found = from.split(separator)
      const key = Object.fromEntries(
        names.map((name, index) => {
          const part = found[index] ?? ''
          return [name, parts[name] === 'integer' ? toInteger(part) : toText(part)]
        }),
      ) as KeyOf<Parts>
      // One text for each key: nothing else that reads alike.
      if (found.length === names.length && isWritten(key, from)) return key
      throw new SyntaxError(
        `${JSON.stringify(from)} is no key of ${names.map((name) => `${name} (${parts[name]})`).join(separator)}`,
      )
    },
    prefix(key: Partial<KeyOf<Parts>>) {
      const own = given(key)
      const some = names.filter((name) => own[name] !== undefined)
      const first = names.slice(0, some.length)
      const unknown = Object.keys(own).find((name) => !names.includes(name))
      const gap = unknown ?? some.find((name, index) => name !== first[index])
      if (gap !== undefined) {
        throw new TypeError(`a prefix has the first of ${names.join(', ')}: ${gap} does not follow`)
      }
      const all = written(own, some)
      return all
        .map((part, index) => (index === names.length - 1 ? part : part + separator))
        .join('')
    },
  }
  // Of the global registry: the host knows such keys without asking anybody, whichever copy of the SDK has made them.
  return Object.freeze(
    Object.defineProperty(made, Symbol.for('millrace.keyParts'), { value: { ...parts } }),
  )

  function isWritten(key: KeyOf<Parts>, from: string): boolean {
    try {
      return encode(key) === from
    } catch {
      return false
    }
  }
}

const isPart = (kind: unknown): boolean => kind === 'text' || kind === 'integer'

function text(name: string, value: unknown): string {
  if (typeof value !== 'string') throw new TypeError(`${name} is a text, not ${nameOf(value)}`)
  if (/\p{Surrogate}/u.test(value)) {
    throw new TypeError(`${name} has half of a surrogate pair: there is no UTF-8 for it`)
  }
  return value.replace(
    escaped,
    (character) => escapeMark + String.fromCharCode(character.charCodeAt(0) + escapeStep),
  )
}

const toText = (part: string): string =>
  part.replace(/"(.)/g, (_, code: string) => String.fromCharCode(code.charCodeAt(0) - escapeStep))

function integer(name: string, value: unknown): string {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
    throw new TypeError(`${name} is a safe integer, not ${nameOf(value)}`)
  }
  const digits = String(Math.abs(value))
  const count = digits.length - 1
  if (value >= 0) return digitsOf.charAt(count) + digits
  return `-${digitsOf.charAt(digitsOf.length - 1 - count)}${complement(digits)}`
}

function toInteger(part: string): number {
  return part.startsWith('-') ? -Number(complement(part.slice(2))) : Number(part.slice(1))
}

/** What each digit lacks to nine: of negative numbers the greater one is nearer to zero. */
const complement = (digits: string): string =>
  digits.replace(/\d/g, (digit) => String(9 - Number(digit)))

const nameOf = (value: unknown): string =>
  typeof value === 'object' && value !== null ? 'an object' : `${typeof value} ${String(value)}`
