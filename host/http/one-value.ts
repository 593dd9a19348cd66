// The answer for one key of a table, from what this host has.
import { HostError } from '../errors.js'
import type { TableEntry } from '../functions/catalog.js'
import { binaryType, errorAnswer, jsonType, shortBytes } from './answer.js'
import type { HttpContext, HttpDeps } from './deps.js'
import { refuseLost, refuseMoved } from './serving.js'
import { isShownAsStored, toJsonTexts } from './shown.js'

export interface Asked {
  readonly table: TableEntry
  readonly key: Buffer
  readonly partition: number
  readonly isStaleOk: boolean
}

/** At once, where the table is open here. Throws RECOVERING if the partition has gone while it was read. */
export function valueAnswer(
  deps: Pick<HttpDeps, 'gate'>,
  c: HttpContext,
  asked: Asked,
): Response | Promise<Response> {
  const { table, key, partition, isStaleOk } = asked
  const found = table.view.get(partition, key)
  if (!(found instanceof Promise)) return foundAnswer(deps, c, asked, found)
  return found.then((value) => {
    if (!isStaleOk) refuseMoved(table, partition)
    return foundAnswer(deps, c, asked, value)
  })
}

function foundAnswer(
  { gate }: Pick<HttpDeps, 'gate'>,
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

const keyNotFound = (table: string, key: Buffer): HostError =>
  new HostError(
    'KEY_NOT_FOUND',
    `the table "${table}" has no value for the key ${JSON.stringify(key.toString('utf8'))}`,
  )
