// JSON codecs: plain, with the type only promised, and checked by a schema.
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { type TextCodec, textCodec } from './codec.js'
import { JsonSyntaxError } from './syntax.js'

/**
 * One thing that a schema has against a value. `path` is like `items[2].page`, empty for the value itself.
 *
 * @example
 * const issue: Issue = { path: 'items[2].page', message: 'Invalid input: expected string, received number' }
 */
export interface Issue {
  readonly path: string
  readonly message: string
}

/**
 * A schema refused the value; `issues` has every reason that it gave.
 *
 * @example
 * try {
 *   clicks.decodeText('{"page":7}')
 * } catch (error) {
 *   if (error instanceof ValidationError) console.log(error.issues[0]?.path) // 'page'
 * }
 */
export class ValidationError extends TypeError {
  override readonly name = 'ValidationError'
  readonly issues: readonly Issue[]

  constructor(issues: readonly Issue[]) {
    super(`refused by the schema: ${issues.map(inWords).join('; ')}`)
    this.issues = issues
  }
}

/**
 * JSON text. `json<T>()` promises that values are `T` and checks nothing; `json(schema)` takes any Standard Schema (zod,
 * valibot, arktype …) that validates synchronously, infers the types from it, and validates both when reading and when
 * writing. Reading gives the schema's output; writing stores the value as it was given.
 *
 * Values are written as `JSON.stringify` does: fields that are `undefined` are left out, `NaN` becomes `null`. Encoding
 * throws a `TypeError` for `undefined`, a function, a symbol, a `bigint` anywhere, or a cycle; decoding a `JsonSyntaxError`
 * for text that is no JSON. With a schema both throw a `ValidationError` for what it refuses, and a `TypeError` if it
 * validates asynchronously.
 *
 * @example
 * export default defineProcessor({
 *   inputs: { clicks: json(z.object({ page: z.string() })) },
 *   table: json<{ count: number }>(),
 *   on: { clicks: (ctx) => ctx.set({ count: (ctx.get()?.count ?? 0) + 1 }) },
 * })
 */
export function json<T>(): TextCodec<T>
export function json<S extends StandardSchemaV1>(
  schema: S,
): TextCodec<StandardSchemaV1.InferOutput<S>, StandardSchemaV1.InferInput<S>>
export function json(...given: readonly StandardSchemaV1[]): TextCodec<unknown> {
  // `json(undefined)` is nearly always a schema that a cycle of imports has not made yet.
  if (given.length === 0) return textCodec('json', stringify, parse)
  const standard = standardOf(given[0])
  return textCodec(
    'schema',
    (value: unknown) => {
      validate(standard, value)
      return stringify(value)
    },
    (text) => validate(standard, parse(text)),
  )
}

function standardOf(schema: unknown): StandardSchemaV1.Props {
  if ((typeof schema === 'object' && schema !== null) || typeof schema === 'function') {
    const standard: unknown = Reflect.get(schema, '~standard')
    if (isStandard(standard)) return standard
  }
  throw new TypeError(
    'json(schema) takes a Standard Schema (zod ≥ 3.24, valibot ≥ 1, arktype ≥ 2); this is none',
  )
}

function isStandard(value: unknown): value is StandardSchemaV1.Props {
  return (
    typeof value === 'object' &&
    value !== null &&
    'version' in value &&
    value.version === 1 &&
    'validate' in value &&
    typeof value.validate === 'function'
  )
}

function validate(standard: StandardSchemaV1.Props, value: unknown): unknown {
  const result = standard.validate(value)
  if ('then' in result) {
    // Nobody waits for it: its rejection must not end the thread.
    result.then(undefined, () => undefined)
    throw new TypeError(
      'the schema validates asynchronously, a codec cannot wait: take the asynchronous refinement or transform out',
    )
  }
  if (result.issues === undefined) return result.value
  throw new ValidationError(
    result.issues.map(({ path, message }) => ({ path: written(path ?? []), message })),
  )
}

function written(path: readonly (PropertyKey | StandardSchemaV1.PathSegment)[]): string {
  let text = ''
  for (const segment of path) {
    const key = typeof segment === 'object' ? segment.key : segment
    if (typeof key === 'number') text += `[${key}]`
    else if (typeof key === 'symbol') text += `[${String(key)}]`
    else if (!/^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key))
      text += `[${/^\d+$/.test(key) ? key : JSON.stringify(key)}]`
    else text += text === '' ? key : `.${key}`
  }
  return text
}

const inWords = ({ path, message }: Issue): string =>
  path === '' ? message : `${path}: ${message}`

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new JsonSyntaxError(text)
  }
}

function stringify(value: unknown): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause)
    throw new TypeError(`the value cannot be written as JSON: ${message}`, { cause })
  }
  if (text !== undefined) return text
  const found = value === undefined ? 'undefined' : `a ${typeof value}`
  throw new TypeError(`${found} cannot be written as JSON; to remove a key, delete it or emit null`)
}
