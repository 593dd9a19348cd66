// The input positions in the header of a changelog record: a second source should the committed ones be gone.
import type { Header, LogRecord, Position } from '../log/log.js'

const headerName = 'millrace-positions'

/** By topic; the partition is that of the record. */
export function positionsHeader(positions: readonly Position[]): Header {
  const byTopic = Object.fromEntries(positions.map(({ topic, offset }) => [topic, offset]))
  return [headerName, Buffer.from(JSON.stringify(byTopic))]
}

/** For a copy of the record in a log where these offsets mean nothing. */
export const withoutPositions = (headers: readonly Header[]): readonly Header[] =>
  headers.some(([name]) => name === headerName)
    ? headers.filter(([name]) => name !== headerName)
    : headers

/** Undefined: the record carries none, or what it carries is not ours. */
export function readPositionsHeader(record: LogRecord): ReadonlyMap<string, number> | undefined {
  const header = record.headers.find(([name]) => name === headerName)
  if (header === undefined) return undefined
  try {
    const parsed: unknown = JSON.parse(header[1].toString('utf8'))
    if (typeof parsed !== 'object' || parsed === null) return undefined
    const entries = Object.entries(parsed).filter(
      (entry): entry is [string, number] => Number.isSafeInteger(entry[1]) && entry[1] >= 0,
    )
    return new Map(entries)
  } catch {
    return undefined
  }
}
