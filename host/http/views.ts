// Views: a table's values by key, in key order, and for many keys.
import { HostError } from '../errors.js'
import type { TableEntry } from '../functions/catalog.js'
import { partitionOf } from '../log/partitioner.js'
import type { Gatekeeper } from './access.js'
import { waitUntilReflected, waitUntilServing } from './after.js'
import { errorAnswer, jsonText, jsonType, shortBytes } from './answer.js'
import { readBody, toText } from './body.js'
import { clientOf } from './client.js'
import type { HttpApp, HttpContext, HttpDeps } from './deps.js'
import { parse } from './given.js'
import { listAnswer } from './list.js'
import { isShownAsStored, toJsonTexts } from './shown.js'
import {
  checkKey,
  decodeBytes,
  decodeText,
  readCount,
  readQuery,
  requestTarget,
  segment,
} from './target.js'
import { decodeToken } from './token.js'
import { unknownTable } from './unknown.js'
import type { WaitingRoom } from './waiting.js'

const waitParameters = ['after', 'timeoutMs', 'stale']
const listParameters = ['prefix', 'from', 'to', 'limit', 'cursor']
const binaryType = { 'content-type': 'application/octet-stream' } as const

export function viewRoutes(
  app: HttpApp,
  deps: HttpDeps,
  gatekeeper: Gatekeeper,
  room: WaitingRoom,
): void {
  const { catalog, gate } = deps
  const { limits } = deps.config
  const hasTokens = deps.config.http.tokens.length > 0

  const tableOf = (c: HttpContext): TableEntry => {
    const name = decodeText(segment(c.req.path, 2), 'the table')
    // The header is looked for only when it matters: this is the hot path.
    if (hasTokens) gatekeeper(c.req.header('authorization')).require(['read'], name)
    const table = catalog.table(name)
    if (table !== undefined) return table
    const { mayName } = gatekeeper(c.req.header('authorization'))
    throw unknownTable(name, catalog, mayName)
  }

  const waitFor = async (
    c: HttpContext,
    table: TableEntry,
    query: ReadonlyMap<string, string[]>,
    partition?: number,
  ): Promise<TableEntry> => {
    const timeoutMs = readCount(query, 'timeoutMs', limits.maxWaitTimeoutMs) ?? limits.waitTimeoutMs
    const tokens = query.get('after')?.map(decodeToken)
    if (tokens === undefined) return table
    using client = clientOf(c)
    using wait = room.enter({ timeoutMs, client: client.signal })
    const goal = { table: table.name, function: table.function, partition }
    await waitUntilReflected(deps, tokens, goal, wait)
    if (!isStaleOk(query)) await waitUntilServing(catalog, goal, wait)
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
    if (target.length === path.length) {
      refuseStale(table, partition)
      return marked(table, valueAnswer(deps, c, { table, key, partition, isStaleOk: false }))
    }
    return afterWait(c, table, key, partition, target)
  })

  const afterWait = async (
    c: HttpContext,
    table: TableEntry,
    key: Buffer,
    partition: number,
    target: string,
  ) => {
    const query = readQuery(target, waitParameters)
    const current = await waitFor(c, table, query, partition)
    const asked = { table: current, key, partition, isStaleOk: isStaleOk(query) }
    if (!asked.isStaleOk) refuseStale(current, partition)
    return marked(current, valueAnswer(deps, c, asked))
  }

  app.delete('/views/:table/:key', async (c) => {
    const name = decodeText(segment(c.req.path, 2), 'the table')
    const { require, mayName } = gatekeeper(c.req.header('authorization'))
    require(['admin'], name)
    const table = catalog.table(name)
    if (table === undefined) throw unknownTable(name, catalog, mayName)
    const key = checkKey(decodeBytes(segment(c.req.path, 3)), limits.maxKeyBytes)
    const partition = partitionOf(key, table.partitions, table.hasher)
    if (await deps.operator.evict(table.function, partition, key)) return c.body(null, 204)
    throw new HostError(
      'BAD_REQUEST',
      `the table "${name}" is its function's own, which alone changes it; a key is evicted from a view of a table that others write (defineView). Emit a tombstone to an input that deletes it, or visit its keys`,
      { function: table.function },
    )
  })

  app.get('/views/:table', async (c) => {
    const found = tableOf(c)
    const query = readQuery(requestTarget(c.req.raw, c.env), [...waitParameters, ...listParameters])
    const isLines = /\bapplication\/(x-)?ndjson\b/i.test(c.req.header('accept') ?? '')
    const limit = readCount(query, 'limit', isLines ? Number.MAX_SAFE_INTEGER : limits.maxPageLimit)
    const table = await waitFor(c, found, query)
    if (!isStaleOk(query)) refuseStaleTable(table)
    const answer = listAnswer(c, deps, table, query, {
      kind: isLines ? 'lines' : 'page',
      limit,
      check: isStaleOk(query) ? () => {} : () => refuseMovedTable(table),
    })
    return marked(table, answer)
  })

  app.post('/views/:table', async (c) => {
    const asked = tableOf(c)
    const query = readQuery(requestTarget(c.req.raw, c.env), waitParameters)
    const body = toText(await readBody(c, limits.maxBodyBytes), 'the body')
    const keys = [...new Set(readKeys(parse(body).value, limits.maxPageLimit))].map((name) => ({
      name,
      bytes: checkKey(Buffer.from(name), limits.maxKeyBytes),
    }))
    const table = await waitFor(c, asked, query)
    const found = keys.map(({ bytes }) => {
      const partition = partitionOf(bytes, table.partitions, table.hasher)
      if (!isStaleOk(query)) refuseStale(table, partition)
      return table.view.get(partition, bytes)
    })
    const values = await Promise.all(found.map(async (value) => await value))
    const texts = await toJsonTexts(
      table,
      values.filter((value) => value !== undefined),
      gate,
    )
    if (!isStaleOk(query)) {
      for (const { bytes } of keys)
        refuseMoved(table, partitionOf(bytes, table.partitions, table.hasher))
    }
    let nth = 0
    // As text: values stay as they are stored, and a key like __proto__ is one like any other.
    const members = keys.map(({ name }, index) => {
      const text = values[index] === undefined ? 'null' : texts[nth++]
      return `${JSON.stringify(name)}:${text}`
    })
    return marked(table, jsonText(`{${members.join(',')}}`))
  })
}

/** Says of an answer that what it tells may have been changed by others since. */
function marked<A extends Response | Promise<Response>>(
  table: TableEntry,
  answer: A,
): A | Promise<Response> {
  if (!table.isStale()) return answer
  return Promise.resolve(answer).then((told) => {
    told.headers.set('millrace-stale', 'true')
    return told
  })
}

interface Asked {
  readonly table: TableEntry
  readonly key: Buffer
  readonly partition: number
  readonly isStaleOk: boolean
}

function valueAnswer(deps: HttpDeps, c: HttpContext, asked: Asked): Response | Promise<Response> {
  const { table, key, partition, isStaleOk } = asked
  const found = table.view.get(partition, key)
  if (!(found instanceof Promise)) return foundAnswer(deps, c, asked, found)
  return found.then((value) => {
    if (!isStaleOk) refuseMoved(table, partition)
    return foundAnswer(deps, c, asked, value)
  })
}

function foundAnswer(
  { gate }: HttpDeps,
  c: HttpContext,
  { table, key, partition, isStaleOk }: Asked,
  value: Buffer | undefined,
): Response | Promise<Response> {
  if (value === undefined) {
    // Not thrown: a stack for each miss would make misses slow.
    return errorAnswer(keyNotFound(table.name, key))
  }
  const kind = table.codec.codec
  if (isShownAsStored(kind)) return bytesAnswer(c, value, jsonType)
  if (kind === 'bytes' && !/\bapplication\/json\b/i.test(c.req.header('accept') ?? ''))
    return bytesAnswer(c, value, binaryType)
  return toJsonTexts(table, [value], gate).then(([text = 'null']) => {
    if (!isStaleOk) refuseLost(table, partition)
    return bytesAnswer(c, Buffer.from(text), jsonType)
  })
}

function bytesAnswer(
  c: HttpContext,
  value: Buffer,
  type: Readonly<Record<string, string>>,
): Response {
  // Hono makes HEAD of GET, and drops the body: its length would be lost with it.
  const headers =
    c.req.method === 'HEAD' ? { ...type, 'content-length': String(value.length) } : type
  // Decoding a few bytes costs less than a second piece.
  const isShortText = type === jsonType && value.length <= shortBytes
  return new Response(isShortText ? value.toString('utf8') : value, { headers })
}

const isStaleOk = (query: ReadonlyMap<string, readonly string[]>): boolean => {
  const stale = query.get('stale')?.at(-1)
  if (stale === undefined || stale === 'ok') return stale === 'ok'
  throw new HostError('BAD_REQUEST', `stale is ${JSON.stringify(stale)}: allowed is ok`)
}

function refuseStale(table: TableEntry, partition: number): void {
  if (table.isServing(partition)) return
  throw new HostError(
    'RECOVERING',
    `partition ${partition} of the table "${table.name}" ${
      table.isOwned(partition)
        ? 'is being rebuilt from the log, or waits with its function: GET /functions/NAME tells for what'
        : 'is at another host, or not given to any yet: GET /functions of each tells which it has'
    }; try again, or take what is there with ?stale=ok`,
    { function: table.function, partition },
  )
}

function refuseStaleTable(table: TableEntry): void {
  for (let partition = 0; partition < table.partitions; partition++) refuseStale(table, partition)
}

/** Once it is another host's it may have gone on there: what was read here before is old. */
function refuseLost(table: TableEntry, partition: number): void {
  if (table.isOwned(partition)) return
  throw new HostError(
    'RECOVERING',
    `partition ${partition} of the table "${table.name}" may have gone to another host while it was read: try again, or take what is there with ?stale=ok`,
    { function: table.function, partition },
  )
}

/** After a read. One by the function's thread was made after it was asked for: the partition may have been on its way to be rebuilt by then. */
function refuseMoved(table: TableEntry, partition: number): void {
  if (table.view.isRemote) refuseStale(table, partition)
  else refuseLost(table, partition)
}

function refuseMovedTable(table: TableEntry): void {
  for (let partition = 0; partition < table.partitions; partition++) refuseMoved(table, partition)
}

function readKeys(body: unknown, max: number): string[] {
  const isObject = typeof body === 'object' && body !== null && 'keys' in body
  const keys = isObject && Object.keys(body).length === 1 ? body.keys : undefined
  const isRight = Array.isArray(keys) && keys.every((key): key is string => typeof key === 'string')
  if (!isRight)
    throw new HostError('BAD_REQUEST', 'the body has to be { "keys": ["…"] }, keys being strings')
  const halved = keys.find((key) => /\p{Surrogate}/u.test(key))
  if (halved !== undefined) {
    throw new HostError(
      'BAD_KEY',
      `the key ${JSON.stringify(halved)} has half of a surrogate pair: there is no UTF-8 for it`,
    )
  }
  if (keys.length <= max) return keys
  throw new HostError(
    'BAD_REQUEST',
    `${keys.length} keys are asked for, allowed are ${max} (limits.maxPageLimit)`,
  )
}

const keyNotFound = (table: string, key: Buffer): HostError =>
  new HostError(
    'KEY_NOT_FOUND',
    `the table "${table}" has no value for the key ${JSON.stringify(key.toString('utf8'))}`,
  )
