// Views: a table's values by key, in key order, and for many keys.
import { evictAtOthers } from '../cluster/instances.js'
import { HostError } from '../errors.js'
import type { TableEntry } from '../functions/catalog.js'
import { partitionOf } from '../log/partitioner.js'
import type { Gatekeeper } from './access.js'
import { waitUntilReflected, waitUntilServing } from './after.js'
import { jsonText } from './answer.js'
import { readKeys, type Texts, textsAnywhere, textsHere } from './batch.js'
import { readBody, toText } from './body.js'
import { clientOf } from './client.js'
import { type HttpApp, type HttpContext, type HttpDeps, isClustered } from './deps.js'
import { parse } from './given.js'
import { type KeyAsked, readAnywhere, readHere, routedMs } from './key-read.js'
import { listAnswer, rangeIn } from './list.js'
import { valueAnswer } from './one-value.js'
import { type Pages, pagesAnywhere, pagesHere } from './pages.js'
import { marked, markedStale } from './serving.js'
import { checkKey, decodeBytes, decodeText, readCount, requestTarget, segment } from './target.js'
import { unknownTable } from './unknown.js'
import { type ViewQuery, viewQuery } from './view-query.js'
import type { WaitingRoom } from './waiting.js'

const listParameters = ['prefix', 'from', 'to', 'limit', 'cursor']

export function viewRoutes(
  app: HttpApp,
  deps: HttpDeps,
  gatekeeper: Gatekeeper,
  room: WaitingRoom,
): void {
  const { catalog } = deps
  const { limits } = deps.config
  const hasTokens = deps.config.http.tokens.length > 0

  const tableOf = (c: HttpContext): TableEntry => {
    const name = decodeText(segment(c.req.path, 2), 'the table')
    // The header is looked for only when it matters: this is the hot path.
    if (hasTokens) gatekeeper(c.req.header('authorization')).require(['read'], name)
    const table = catalog.table(name)
    if (table !== undefined) return table
    const { mayName } = gatekeeper(c.req.header('authorization'))
    throw unknownTable(name, catalog, mayName, { isShared: isClustered(deps) })
  }

  const waitFor = async (
    c: HttpContext,
    table: TableEntry,
    { after, timeoutMs, isStaleOk }: ViewQuery,
  ): Promise<TableEntry> => {
    if (after === undefined) return table
    using client = clientOf(c)
    using wait = room.enter({ timeoutMs, client: client.signal })
    const goal = { table: table.name, function: table.function, partition: undefined }
    await waitUntilReflected(deps, after, goal, wait)
    if (!isStaleOk) await waitUntilServing(deps, goal, wait)
    // Looked up anew: the function may have been started afresh meanwhile, and its store with it.
    return tableOf(c)
  }

  // Neither async nor behind middleware: both would cost a good part of what a read costs.
  app.get('/views/:table/:key', (c) => {
    const { path } = c.req
    const table = tableOf(c)
    const key = checkKey(decodeBytes(segment(path, 3)), limits.maxKeyBytes)
    const partition = partitionOf(key, table.partitions, table.hasher)
    const target = requestTarget(c.req.raw, c.env)
    if (target.length === path.length && table.isServing(partition)) {
      return marked(
        table,
        valueAnswer(deps, c, { table, key, partition, isStaleOk: false }),
        partition,
      )
    }
    const asked = { table: table.name, function: table.function, partition, key }
    return read(c, { ...asked, query: viewQuery(target, limits) })
  })

  const read = async (c: HttpContext, asked: KeyAsked): Promise<Response> => {
    const to = { room, table: () => tableOf(c) }
    if (isClustered(deps)) return await readAnywhere(deps, c, asked, to)
    return await readHere(deps, c, asked, to)
  }

  app.delete('/views/:table/:key', async (c) => {
    const name = decodeText(segment(c.req.path, 2), 'the table')
    const { require, mayName } = gatekeeper(c.req.header('authorization'))
    require(['admin'], name)
    const table = catalog.table(name)
    if (table === undefined) {
      throw unknownTable(name, catalog, mayName, { isShared: isClustered(deps) })
    }
    const key = checkKey(decodeBytes(segment(c.req.path, 3)), limits.maxKeyBytes)
    const partition = partitionOf(key, table.partitions, table.hasher)
    if (await deps.operator.evict(table.function, partition, key)) {
      if (isClustered(deps)) await evictAtOthers(catalog, deps.cluster, name, key)
      return c.body(null, 204)
    }
    throw new HostError(
      'BAD_REQUEST',
      `the table "${name}" is its function's own, which alone changes it; a key is evicted from a view of a table that others write (defineView). Emit a tombstone to an input that deletes it, or visit its keys`,
      { function: table.function },
    )
  })

  app.get('/views/:table', async (c) => {
    const found = tableOf(c)
    const query = viewQuery(requestTarget(c.req.raw, c.env), limits, listParameters)
    const isLines = /\bapplication\/(x-)?ndjson\b/i.test(c.req.header('accept') ?? '')
    const most = isLines ? Number.MAX_SAFE_INTEGER : limits.maxPageLimit
    const limit =
      readCount(query.given, 'limit', most) ??
      (isLines ? Number.POSITIVE_INFINITY : limits.pageLimit)
    const { isStaleOk } = query
    const range = rangeIn(query.given)
    const table = await waitFor(c, found, query)
    const answer = async (pages: Pages) => {
      const form = { kind: isLines ? 'lines' : 'page', limit } as const
      const told = await marked(table, listAnswer(c, deps, table, form, pages))
      return pages.isStale ? await markedStale(told) : told
    }
    if (!isClustered(deps)) return await answer(pagesHere(table, { range, isStaleOk }))
    using client = clientOf(c)
    using wait = room.enter({ timeoutMs: 2 * routedMs(deps.cluster), client: client.signal })
    // One more tells whether there is a next page.
    const isFromOwners = query.after !== undefined
    const asked = { range, limit: isLines ? limit : limit + 1, isStaleOk, isFromOwners }
    return await answer(await pagesAnywhere(deps, asked, { wait, table: () => tableOf(c) }))
  })

  app.post('/views/:table', async (c) => {
    const asked = tableOf(c)
    const query = viewQuery(requestTarget(c.req.raw, c.env), limits)
    const body = toText(await readBody(c, limits.maxBodyBytes), 'the body')
    const keys = readKeys(parse(body).value, limits)
    const table = await waitFor(c, asked, query)
    const { isStaleOk } = query
    const answer = (texts: Texts) => {
      // As text: values stay as they are stored, and a key like __proto__ is one like any other.
      const members = keys.map(({ name }) => `${JSON.stringify(name)}:${texts.get(name) ?? 'null'}`)
      return marked(table, jsonText(`{${members.join(',')}}`))
    }
    if (!isClustered(deps)) return await answer(await textsHere(deps, table, { keys, isStaleOk }))
    using client = clientOf(c)
    using wait = room.enter({ timeoutMs: 2 * routedMs(deps.cluster), client: client.signal })
    const to = { wait, signal: client.signal, table: () => tableOf(c) }
    const { texts, isStale } = await textsAnywhere(
      deps,
      { keys, isStaleOk, isFromOwners: query.after !== undefined },
      to,
    )
    const told = answer(texts)
    return isStale ? await markedStale(told) : await told
  })
}
