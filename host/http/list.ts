// A table's entries in key order: one JSON page with a cursor, or NDJSON lines as fast as the client takes them.
import type { TableEntry } from '../functions/catalog.js'
import type { Entry } from '../tables/store.js'
import type { ViewRange } from '../tables/view.js'
import { jsonText } from './answer.js'
import type { HttpContext, HttpDeps } from './deps.js'
import type { Pages } from './pages.js'
import { encodeCursor, toRange } from './range.js'
import { toJsonTexts } from './shown.js'

const linesType = { 'content-type': 'application/x-ndjson' } as const

export interface ListForm {
  readonly kind: 'page' | 'lines'
  /** Infinite: as long as the table is. */
  readonly limit: number
}

/** Throws BAD_CURSOR. */
export function rangeIn(query: ReadonlyMap<string, readonly string[]>): ViewRange {
  const get = (name: string) => query.get(name)?.at(-1)
  return toRange({
    prefix: get('prefix'),
    from: get('from'),
    to: get('to'),
    cursor: get('cursor'),
  })
}

export async function listAnswer(
  c: HttpContext,
  deps: HttpDeps,
  table: TableEntry,
  { kind, limit }: ListForm,
  { pages, check }: Pages,
): Promise<Response> {
  if (kind === 'page') return await pageAnswer(deps, table, { pages, limit, check })
  if (c.req.method === 'HEAD') {
    // Nobody would read it to its end.
    await pages[Symbol.asyncIterator]().return?.()
    return new Response(null, { headers: linesType })
  }
  const answer = pagesAnswer(c, deps, table, {
    pages,
    limit,
    check,
    async encode(entries) {
      const lines = await toMembers(table, entries, deps.gate)
      return Buffer.from(lines.map((line) => `${line}\n`).join(''))
    },
  })
  answer.headers.set('content-type', linesType['content-type'])
  return answer
}

interface Wanted extends Pick<Pages, 'pages' | 'check'> {
  readonly limit: number
}

async function pageAnswer(
  { gate }: HttpDeps,
  table: TableEntry,
  { pages, limit, check }: Wanted,
): Promise<Response> {
  const entries: Entry[] = []
  let hasMore = false
  for await (const page of pages) {
    const room = limit - entries.length
    entries.push(...page.slice(0, room))
    hasMore = page.length > room
    if (hasMore) break
  }
  const members = await toMembers(table, entries, gate)
  check()
  const last = entries.at(-1)
  const cursor = hasMore && last !== undefined ? JSON.stringify(encodeCursor(last.key)) : 'null'
  return jsonText(`{"entries":[${members.join(',')}],"cursor":${cursor}}`)
}

/** As fast as the client takes it. */
export function pagesAnswer(
  c: HttpContext,
  { logger }: Pick<HttpDeps, 'logger'>,
  table: TableEntry,
  {
    pages,
    limit,
    check,
    encode,
  }: Wanted & { encode(entries: Entry[]): Uint8Array | Promise<Uint8Array> },
): Response {
  const iterator = pages[Symbol.asyncIterator]()
  let left = limit
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const next = left > 0 ? await iterator.next() : { done: true as const, value: undefined }
          if (next.done === true) {
            check()
            await iterator.return?.()
            controller.close()
            return
          }
          const entries = next.value.slice(0, left)
          left -= entries.length
          const bytes = await encode(entries)
          check()
          controller.enqueue(bytes)
        } catch (error) {
          // The status is sent already: only a broken connection can tell the client that this is not all.
          logger.error('a list broke off', { table: table.name, error })
          await iterator.return?.()
          const outgoing = (c.env as Partial<HttpContext['env']> | undefined)?.outgoing
          if (outgoing === undefined) controller.error(error)
          else outgoing.destroy()
        }
      },
      async cancel() {
        await iterator.return?.()
      },
    },
    // Nothing is read before the client takes it.
    { highWaterMark: 0 },
  )
  return new Response(stream)
}

async function toMembers(
  table: TableEntry,
  entries: readonly Entry[],
  gate: HttpDeps['gate'],
): Promise<string[]> {
  const texts = await toJsonTexts(
    table,
    entries.map(({ value }) => value),
    gate,
  )
  return entries.map(
    ({ key }, index) => `{"key":${JSON.stringify(key.toString('utf8'))},"value":${texts[index]}}`,
  )
}
