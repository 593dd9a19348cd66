// Reads of one key past Hono: they are most of what a view is asked for, and its routing would be most of what each of them costs.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { partitionOf } from '../log/partitioner.js'
import { failureAnswer, jsonType, shortBytes } from './answer.js'
import type { HttpDeps } from './deps.js'
import { isShownAsStored } from './shown.js'

/** Answers the request as the route for it would; false: nothing has been done, and the route has to. */
export type QuickRead = (request: IncomingMessage, response: ServerResponse) => boolean

/** A path without query and escapes, over characters that stand for themselves. */
const plainPath = /^\/views\/([a-z0-9-]+)\/([!-$&-.0->@-~]+)$/

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
    const [, name, text] = plainPath.exec(request.url ?? '') ?? []
    if (name === undefined || text === undefined || text.length > maxKeyBytes) return false
    const table = catalog.table(name)
    if (table === undefined || !isShownAsStored(table.codec.codec)) return false
    const key = Buffer.from(text, 'latin1')
    const partition = partitionOf(key, table.partitions)
    if (!table.isServing(partition)) return false
    let value: Buffer | undefined
    try {
      value = table.view.get(partition, key)
    } catch (error) {
      // Not left to the route: the table is closed for it, and a second read would meet that.
      void send(response, failureAnswer(error, logger))
      return true
    }
    if (value === undefined || value.length > shortBytes) return false
    response.writeHead(200, { ...jsonType, 'content-length': value.length })
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
