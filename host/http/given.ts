// A value as a client gave it, and how each codec makes the log's bytes of it.
import { HostError } from '../errors.js'
import type { CodecRef } from '../functions/catalog.js'
import { findJsonFault } from '../json-scan.js'
import { toText } from './body.js'
import type { Gate } from './gate.js'
import type { Issue, Refusal } from './gate-protocol.js'

/** One value. `json` throws BAD_JSON when the client sent something else. */
export interface Given {
  /** The bytes as they came, when the content type says that they are to be taken as they are. */
  readonly raw: { readonly bytes: Buffer; readonly type: 'text' | 'binary' | 'other' } | null
  json(): { readonly text: string; readonly value: unknown }
}

/** A body of one value; the content type decides what may be taken as it is. */
export function givenBody(body: Buffer, contentType: string | undefined): Given {
  const type = (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  let parsed: { text: string; value: unknown } | undefined
  return {
    raw: /^application\/(.+\+)?json$/.test(type)
      ? null
      : {
          bytes: body,
          type:
            type === 'text/plain'
              ? 'text'
              : type === 'application/octet-stream'
                ? 'binary'
                : 'other',
        },
    json: () => {
      parsed ??= parse(toText(body, 'the body'))
      return parsed
    },
  }
}

export function parse(text: string): { text: string; value: unknown } {
  try {
    return { text, value: JSON.parse(text) }
  } catch (cause) {
    const fault = findJsonFault(text)
    if (fault === undefined)
      throw new HostError('BAD_JSON', `the body is not JSON: ${String(cause)}`, { cause })
    const { line, column, message } = fault
    throw new HostError(
      'BAD_JSON',
      `the body is not JSON: line ${line}, column ${column}: ${message}`,
      { details: [{ path: '', message, line, column }] },
    )
  }
}

/** Why no codec of the stream takes a value, one entry a problem, each with the function when there are several. */
export interface Refused {
  readonly problems: readonly (Issue & { readonly function?: string })[]
}

/** For each value the bytes by the first codec that takes it. Throws BAD_JSON when no codec takes it because it is no JSON. */
export async function encodeAll(
  values: readonly Given[],
  codecs: readonly CodecRef[],
  gate: Gate,
): Promise<(Buffer | Refused)[]> {
  const results = new Array<Buffer | Refused>(values.length)
  const problems = values.map((): (Issue & { function?: string })[] => [])
  let left = values.map((_, index) => index)
  let unparsable: unknown
  for (const codec of codecs) {
    if (left.length === 0) break
    const taken = await encodeWith(
      codec,
      left.map((index) => values[index]).filter((value) => value !== undefined),
      gate,
    )
    left = left.filter((index, nth) => {
      const result = taken[nth]
      if (result instanceof Uint8Array) {
        results[index] = result
        return false
      }
      if (result === undefined) return true
      if ('unparsable' in result) unparsable ??= result.unparsable
      const by = codecs.length > 1 ? { function: codec.function } : {}
      const issues = result.issues?.length ? result.issues : [{ path: '', message: result.message }]
      problems[index]?.push(...issues.map((issue) => ({ ...issue, ...by })))
      return true
    })
  }
  if (left.length > 0 && unparsable !== undefined) throw unparsable
  for (const index of left) results[index] = { problems: problems[index] ?? [] }
  return results
}

type Taken = Buffer | (Refusal & { readonly unparsable?: unknown })

async function encodeWith(codec: CodecRef, values: readonly Given[], gate: Gate): Promise<Taken[]> {
  const first = values.map((given) => before(codec, given))
  if (codec.codec !== 'schema' && codec.codec !== 'custom') {
    return first.map((result) => ('text' in result ? Buffer.from(result.text) : result))
  }
  const encoded =
    codec.codec === 'custom' ? await through(first, (texts) => gate.encode(codec, texts)) : first
  const bytes = encoded.map((result) => ('text' in result ? Buffer.from(result.text) : result))
  const toCheck = bytes.flatMap((result, index) =>
    // What the codec itself has encoded needs no check; raw bytes do.
    result instanceof Uint8Array && (codec.codec === 'schema' || first[index] === result)
      ? [result]
      : [],
  )
  const checked = await gate.check(codec, toCheck)
  let nth = 0
  return bytes.map((result) => {
    if (result !== toCheck[nth]) return result
    return checked[nth++] ?? result
  })
}

/** A text stands for what has still to be encoded. */
type Begun = Taken | { readonly text: string }

async function through(
  begun: readonly Begun[],
  encode: (texts: readonly string[]) => Promise<(Uint8Array | Refusal)[]>,
): Promise<Begun[]> {
  const texts = begun.flatMap((result) => ('text' in result ? [result.text] : []))
  const encoded = texts.length === 0 ? [] : await encode(texts)
  let nth = 0
  return begun.map((result) => {
    if (!('text' in result)) return result
    const bytes = encoded[nth++]
    if (bytes instanceof Uint8Array)
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return bytes ?? { message: 'the codec gave nothing' }
  })
}

function before({ codec }: CodecRef, given: Given): Begun {
  if (codec === 'bytes' && given.raw !== null) return given.raw.bytes
  if (codec === 'string' && given.raw?.type === 'text') return checkedText(given.raw.bytes)
  if (codec === 'custom' && given.raw?.type === 'binary') return given.raw.bytes
  let json: { text: string; value: unknown }
  try {
    json = given.json()
  } catch (unparsable) {
    const message = unparsable instanceof Error ? unparsable.message : String(unparsable)
    return { message, unparsable }
  }
  return fromJson(codec, json.text, json.value)
}

function fromJson(codec: CodecRef['codec'], text: string, value: unknown): Begun {
  switch (codec) {
    case 'json':
    case 'schema':
    case 'custom':
      return { text }
    case 'string':
      return typeof value === 'string'
        ? { text: value }
        : { message: `a string is wanted, found ${kindOf(value)}` }
    case 'int64':
      return int64(text, value)
    case 'bytes':
      return typeof value === 'string' && isBase64(value)
        ? Buffer.from(value, 'base64')
        : { message: `bytes are wanted: a string of base64, found ${kindOf(value)}` }
  }
}

/** From the text: a JavaScript number would lose digits from 2^53 on. */
function int64(text: string, value: unknown): Begun {
  const digits = typeof value === 'string' ? value : text.trim()
  if ((typeof value !== 'number' && typeof value !== 'string') || !/^-?\d{1,19}$/.test(digits)) {
    return { message: `a whole number is wanted, found ${kindOf(value)}` }
  }
  const whole = BigInt(digits)
  if (BigInt.asIntN(64, whole) !== whole) return { message: `${digits} does not fit into 64 bits` }
  return { text: String(whole) }
}

function checkedText(bytes: Buffer): Taken {
  return Buffer.from(bytes.toString('utf8')).equals(bytes)
    ? bytes
    : { message: 'the text is not UTF-8' }
}

const isBase64 = (text: string): boolean =>
  text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'number')
    return Number.isInteger(value) ? 'a number' : 'a number with a fraction'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
