// How large a record and its headers may be, the same for all who make records.
import type { RecordToAppend } from './log.js'

/** Of a record that a client or a function makes; the host's own headers come on top. */
export const MAX_HEADERS = 100
export const MAX_HEADER_NAME_BYTES = 1024

/** What no log takes, whoever made it: the lengths are stored in 16 bits. */
export const MAX_STORED_HEADERS = 0xffff
export const MAX_STORED_NAME_BYTES = 0xffff

/** Lengths and timestamp; and the lengths of each header. */
export const RECORD_BYTES = 18
export const HEADER_BYTES = 6

/** What is counted against `log.maxRecordBytes`: the record as the log stores it. */
export function recordBytes({
  key,
  value,
  headers,
}: Pick<RecordToAppend, 'key' | 'value' | 'headers'>): number {
  let bytes = RECORD_BYTES + (key === null ? 0 : key.length) + (value === null ? 0 : value.length)
  if (headers === undefined) return bytes
  for (const [name, content] of headers) {
    bytes += HEADER_BYTES + Buffer.byteLength(name) + content.length
  }
  return bytes
}

/** Why these headers may not be given to a record, for a person; undefined: they may. */
export function headerProblem(headers: Readonly<Record<string, string>>): string | undefined {
  const names = Object.keys(headers)
  if (names.length > MAX_HEADERS) {
    return `${names.length} headers are more than the ${MAX_HEADERS} that are allowed: put them into the value`
  }
  for (const name of names) {
    // A code unit has 3 bytes at most: mostly there is nothing to count.
    if (name.length * 3 <= MAX_HEADER_NAME_BYTES) continue
    const bytes = Buffer.byteLength(name)
    if (bytes <= MAX_HEADER_NAME_BYTES) continue
    return `the header "${name.slice(0, 40)}…" has a name of ${bytes} bytes, allowed are ${MAX_HEADER_NAME_BYTES}: shorten it`
  }
  return undefined
}
