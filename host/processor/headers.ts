// The headers of what a function emits: those of its definition, and those that an emit gives.
import { headerProblem } from '../log/limits.js'
import type { Header } from '../log/log.js'

export type GivenHeaders = Readonly<Record<string, string>>

/** Those of a definition, encoded once. */
export interface DefaultHeaders {
  readonly given: GivenHeaders
  readonly encoded: readonly Header[]
}

export const defaultHeaders = (given: GivenHeaders = {}): DefaultHeaders => ({
  given: { ...given },
  encoded: encoded(given),
})

/** Throws a RangeError that names the call. */
export function headersOf(
  call: string,
  usual: DefaultHeaders,
  own: GivenHeaders | undefined,
): readonly Header[] {
  if (own === undefined) return usual.encoded
  const all = usual.encoded.length === 0 ? own : { ...usual.given, ...own }
  const problem = headerProblem(all)
  if (problem !== undefined) throw new RangeError(`ctx.${call}: ${problem}`)
  return encoded(all)
}

const encoded = (headers: GivenHeaders): Header[] =>
  Object.entries(headers).map(([name, value]) => [name, Buffer.from(String(value))])

/** Of several headers with one name, the last. */
export const headersAsText = (headers: readonly Header[]): GivenHeaders =>
  Object.fromEntries(headers.map(([name, value]) => [name, value.toString('utf8')]))
