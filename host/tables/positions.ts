// The input positions in the header of a changelog record: a second source should the committed ones be gone.
import type { Batch, Header, LogRecord } from '../log/log.js'
import type { StoredPosition } from './store.js'

const headerName = 'millrace-positions'

/** As `[offset, topicId, leaderEpoch]`, without what is not known; written before ids were: the offset alone. */
type Written = number | readonly [offset: number, topicId: string, leaderEpoch?: number]

/** By topic; the partition is that of the record. */
export function positionsHeader(positions: readonly StoredPosition[]): Header {
  const byTopic = Object.fromEntries(
    positions.map(({ topic, topicId, offset, leaderEpoch }): [string, Written] => [
      topic,
      leaderEpoch === undefined ? [offset, topicId] : [offset, topicId, leaderEpoch],
    ]),
  )
  return [headerName, Buffer.from(JSON.stringify(byTopic))]
}

/** Their topics' ids, where they do not have them, from what else is known of these. A topic that is made anew has the same name, and is another. */
export function withTopicIds(
  positions: Iterable<Omit<StoredPosition, 'topicId'> & { readonly topicId?: string }>,
  known: readonly StoredPosition[],
): StoredPosition[] {
  const ids = new Map(known.map(({ topic, topicId }) => [topic, topicId]))
  return Array.from(positions, ({ topic, topicId, offset, leaderEpoch }) => ({
    topic,
    topicId: topicId || (ids.get(topic) ?? ''),
    offset,
    ...(leaderEpoch === undefined ? {} : { leaderEpoch }),
  }))
}

/** For a copy of the record in a log where these offsets mean nothing. */
export const withoutPositions = (headers: readonly Header[]): readonly Header[] =>
  headers.some(([name]) => name === headerName)
    ? headers.filter(([name]) => name !== headerName)
    : headers

/** Those that the newest of its records that carries any carries. */
export function positionsIn({ records }: Pick<Batch, 'records'>): HeaderPositions | undefined {
  for (let index = records.length - 1; index >= 0; index -= 1) {
    const record = records[index]
    const positions = record && readPositionsHeader(record)
    if (positions !== undefined) return positions
  }
  return undefined
}

export type HeaderPositions = ReadonlyMap<string, StoredPosition>

/** By topic. Undefined: the record carries none, or what it carries is not ours. */
export function readPositionsHeader(record: LogRecord): HeaderPositions | undefined {
  const header = record.headers.find(([name]) => name === headerName)
  if (header === undefined) return undefined
  try {
    const parsed: unknown = JSON.parse(header[1].toString('utf8'))
    if (typeof parsed !== 'object' || parsed === null) return undefined
    const positions = new Map<string, StoredPosition>()
    for (const [topic, written] of Object.entries(parsed)) {
      const [offset, topicId, epoch]: readonly unknown[] = Array.isArray(written)
        ? written
        : [written, '']
      if (typeof offset !== 'number' || typeof topicId !== 'string') continue
      const leaderEpoch = typeof epoch === 'number' ? { leaderEpoch: epoch } : {}
      if (Number.isSafeInteger(offset) && offset >= 0)
        positions.set(topic, { topic, topicId, offset, ...leaderEpoch })
    }
    return positions
  } catch {
    return undefined
  }
}
