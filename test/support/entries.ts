// Compares what a table has with what it should have; of large ones tap's own comparison takes seconds, and prints them whole.
import { isDeepStrictEqual } from 'node:util'
import type { Test } from 'tap'

type Entries = readonly (readonly [key: string, value: unknown])[]

const shown = 5

/** `found` in the order of its keys, `expected` in any. */
export function isSame(t: Test, found: Entries, expected: Entries, what: string): void {
  const [is, should] = [new Map(found), new Map(expected)]
  const wrong = [...new Set([...is.keys(), ...should.keys()])]
    .filter((key) => !isDeepStrictEqual(is.get(key), should.get(key)))
    .map((key) => ({ key, found: is.get(key), expected: should.get(key) }))
  t.strictSame(wrong.slice(0, shown), [], `${what}: all ${should.size}, ${wrong.length} wrong`)
  const inOrder = [...is.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  t.ok(isDeepStrictEqual([...is.keys()], inOrder), `${what}: in the order of their keys`)
}

/** Of a table of JSON, rounded: a key and its value. */
export function averageBytes(entries: Entries): number {
  const bytes = entries.map(([key, value]) => Buffer.byteLength(key + JSON.stringify(value)))
  return Math.round(bytes.reduce((sum, each) => sum + each, 0) / entries.length)
}
