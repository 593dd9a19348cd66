// Reads of one key past Hono: they are most of what a view is asked for, and its routing would be most of what each of them costs.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { partitionOf } from '../log/partitioner.js'
import type { FoundValue } from '../tables/view.js'
import { failureAnswer, jsonType, shortBytes } from './answer.js'
import type { HttpDeps } from './deps.js'
import { isShownAsStored } from './shown.js'

/** Answers the request as the route for it would; false: nothing has been done, and the route has to. */
export type QuickRead = (request: IncomingMessage, response: ServerResponse) => boolean

const prefix = '/views/'
/** Without query, escapes and slashes: of characters that stand for themselves. */
const plainKey = /^[!-$&-.0->@-~]+$/

/** Takes what has an answer of 200 and nothing to be looked at before: all else, every refusal included, is the route's. */
export function createQuickRead({
  catalog,
  config,
  logger,
}: Pick<HttpDeps, 'catalog' | 'config' | 'logger'>): QuickRead {
  const hasTokens = config.http.tokens.length > 0
  const { maxKeyBytes } = config.limits
  return (request, response) => {
    if (hasTokens || request.method !== 'GET') return false
    const { url = '' } = request
    if (!url.startsWith(prefix)) return false
    const slash = url.indexOf('/', prefix.length)
    const text = url.slice(slash + 1)
    if (slash < 0 || text.length > maxKeyBytes || !plainKey.test(text)) return false
    const table = catalog.table(url.slice(prefix.length, slash))
    if (table === undefined || !isShownAsStored(table.codec.codec) || table.view.isRemote)
      return false
    const key = Buffer.from(text, 'latin1')
    const partition = partitionOf(key, table.partitions, table.hasher)
    if (!table.isServing(partition) || table.isStale(partition)) return false
    let value: FoundValue
    try {
      value = table.view.get(partition, key)
    } catch (error) {
      // Not left to the route: the table is closed for it, and a second read would meet that.
      void send(response, failureAnswer(error, logger))
      return true
    }
    if (!(value instanceof Buffer) || value.length > shortBytes) return false
    // Spelled out: a copy of `jsonType` would cost as much as the rest of it.
    const headers = { 'content-type': jsonType['content-type'], 'content-length': value.length }
    response.writeHead(200, headers)
    // Byte for byte, and in one piece with the head.
    response.end(value.toString('latin1'), 'latin1')
    return true
  }
}

async function send(response: ServerResponse, answer: Response): Promise<void> {
  const bytes = Buffer.from(await answer.arrayBuffer())
  const headers = Object.fromEntries(answer.headers)
  response.writeHead(answer.status, { ...headers, 'content-length': bytes.length })
  response.end(bytes)
}
