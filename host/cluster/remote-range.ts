// A range of the partitions that another instance has, read from there as fast as it is taken.
import type { Entry } from '../tables/store.js'
import type { ViewRange } from '../tables/view.js'
import type { PeerStream } from './answer-check.js'
import type { Peer, PeerClient } from './client.js'
import { PageReader } from './entries.js'
import { viewPath } from './paths.js'
import { unreachable } from './refusal.js'
import { refuseUnlessOk, withinTime } from './within-time.js'

export interface RangeAsked extends ViewRange {
  readonly table: string
  readonly partitions: readonly number[]
  /** No more than so many entries are wanted. */
  readonly limit: number
  readonly isStaleOk: boolean
}

/** Resolves when the other has begun with it; what may be told later is told by its iterator. `timeoutMs`: for each page. */
export async function remoteRange(
  client: PeerClient,
  owner: Peer,
  asked: RangeAsked,
  timeoutMs: number,
): Promise<AsyncIterable<Entry[]>> {
  const path = `${viewPath(asked.table)}?${queryOf(asked)}`
  const answer = await client.open(owner, { method: 'GET', path, timeoutMs })
  await refuseUnlessOk(owner, answer, timeoutMs)
  return pagesOf(owner, answer, timeoutMs)
}

function queryOf({ from, to, partitions, limit, isStaleOk }: RangeAsked): URLSearchParams {
  const query = new URLSearchParams({ partitions: partitions.join(',') })
  if (from !== undefined) query.set('from', from.toString('base64url'))
  if (to !== undefined) query.set('to', to.toString('base64url'))
  if (Number.isFinite(limit)) query.set('limit', String(limit))
  if (isStaleOk) query.set('stale', 'ok')
  return query
}

async function* pagesOf(
  owner: Peer,
  answer: PeerStream,
  timeoutMs: number,
): AsyncGenerator<Entry[], undefined> {
  const pieces = answer[Symbol.asyncIterator]()
  const reader = new PageReader()
  try {
    for (;;) {
      for (let page = reader.next(); page !== undefined; page = reader.next()) yield page
      const piece = await withinTime(owner, answer, pieces.next(), timeoutMs)
      if (piece.done === true) break
      reader.push(piece.value)
    }
    if (reader.isWithin) throw unreachable(owner, 'its answer broke off')
  } finally {
    answer.destroy()
  }
}
