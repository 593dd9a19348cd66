// Reads one key: from the table here, or through the instance that has its partition.
import { atOwners } from '../cluster/at-owners.js'
import type { Peer } from '../cluster/client.js'
import type { Cluster } from '../cluster/cluster.js'
import { viewPath } from '../cluster/paths.js'
import type { TableEntry } from '../functions/catalog.js'
import { waitUntilReflected, waitUntilServing } from './after.js'
import { errorAnswer } from './answer.js'
import { clientOf } from './client.js'
import type { ClusteredDeps, HttpContext, HttpDeps } from './deps.js'
import { valueAnswer } from './one-value.js'
import { peerAnswer } from './peer-answer.js'
import { marked, markedStale, notServing, refuseStale } from './serving.js'
import { forwardedQuery, type ViewQuery } from './view-query.js'
import type { Wait, WaitingRoom } from './waiting.js'

export interface KeyAsked {
  readonly table: string
  readonly function: string
  readonly partition: number
  readonly key: Buffer
  readonly query: ViewQuery
}

interface To {
  readonly room: WaitingRoom
  /** As it is now. Throws UNKNOWN_TABLE. */
  table(): TableEntry
}

/** From what this host has. Throws RECOVERING if that may not be shown. */
export async function readHere(
  deps: HttpDeps,
  c: HttpContext,
  asked: KeyAsked,
  { room, table }: To,
): Promise<Response> {
  const { query } = asked
  if (query.after === undefined) return await answerHere(deps, c, asked, table)
  using client = clientOf(c)
  using wait = room.enter({ timeoutMs: query.timeoutMs, client: client.signal })
  return await answerAfter(deps, c, asked, { wait, table })
}

async function answerAfter(
  deps: HttpDeps,
  c: HttpContext,
  asked: KeyAsked,
  { wait, table }: Pick<To, 'table'> & { readonly wait: Wait },
): Promise<Response> {
  await waitUntilReflected(deps, asked.query.after ?? [], asked, wait)
  if (!asked.query.isStaleOk) await waitUntilServing(deps, asked, wait)
  // Looked up anew: the function may have been started afresh meanwhile, and its store with it.
  return await answerHere(deps, c, asked, table)
}

async function answerHere(
  deps: HttpDeps,
  c: HttpContext,
  { key, partition, query: { isStaleOk } }: KeyAsked,
  tableNow: () => TableEntry,
): Promise<Response> {
  const table = tableNow()
  if (!isStaleOk) refuseStale(table, partition)
  return await marked(table, valueAnswer(deps, c, { table, key, partition, isStaleOk }), partition)
}

/** Through its owner where that is another; throws what keeps it from that. */
export async function readAnywhere(
  deps: ClusteredDeps,
  c: HttpContext,
  asked: KeyAsked,
  { room, table }: To,
): Promise<Response> {
  const { cluster } = deps
  const { query, partition } = asked
  const isWaiting = query.after !== undefined
  const withinMs = isWaiting ? query.timeoutMs : routedMs(cluster)
  using client = clientOf(c)
  // One that waits for nothing ends by itself.
  const timeoutMs = isWaiting ? withinMs : 2 * withinMs
  using wait = room.enter({ timeoutMs, client: client.signal })
  const there = async (owner: Peer, _: unknown, leftMs: number) => {
    const answer = await cluster.client.ask(owner, {
      method: c.req.method === 'HEAD' ? 'HEAD' : 'GET',
      path: viewPath(asked.table, asked.key) + forwardedQuery(query, leftMs),
      headers: { accept: c.req.header('accept') ?? '*/*' },
      // Of one that waits there, the other says when the time is over.
      timeoutMs: isWaiting ? leftMs + cluster.timeoutMs : Math.min(leftMs, cluster.timeoutMs),
      signal: client.signal,
    })
    return peerAnswer(owner, answer)
  }
  const [answer] = await atOwners(
    {
      ...deps,
      function: asked.function,
      withinMs,
      isPatient: isWaiting,
      isFromOwners: isWaiting,
      table,
      wait: (promise) => wait.for(promise),
    },
    [partition],
    {
      here: () =>
        isWaiting
          ? answerAfter(deps, c, asked, { wait, table })
          : answerHere(deps, c, asked, table),
      there,
      nowhere: notServing,
      ...(query.isStaleOk
        ? { leftovers: () => markedStale(answerHere(deps, c, asked, table)) }
        : {}),
    },
  )
  return answer ?? errorAnswer(notServing(table(), partition))
}

/** Of a request that has nothing else to wait for than who answers it. */
export const routedMs = ({ graceMs, timeoutMs }: Cluster): number => graceMs + timeoutMs
