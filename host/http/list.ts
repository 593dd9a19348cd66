// A table's entries in key order: one JSON page with a cursor, or NDJSON lines as fast as the client takes them.
import type { TableEntry } from '../functions/catalog.js'
import type { Entry } from '../tables/store.js'
import { jsonText } from './answer.js'
import type { HttpContext, HttpDeps } from './deps.js'
import { encodeCursor, toRange } from './range.js'
import { toJsonTexts } from './shown.js'

export interface ListForm {
  readonly kind: 'page' | 'lines'
  /** Undefined: the default page, or all lines. */
  readonly limit: number | undefined
  /** Asked before each page goes out: throws when what was read may be old by now. */
  check(): void
}

export async function listAnswer(
  c: HttpContext,
  deps: HttpDeps,
  table: TableEntry,
  query: ReadonlyMap<string, readonly string[]>,
  { kind, limit, check }: ListForm,
): Promise<Response> {
  const get = (name: string) => query.get(name)?.at(-1)
  const range = toRange({
    prefix: get('prefix'),
    from: get('from'),
    to: get('to'),
    cursor: get('cursor'),
  })
  const pages = table.view.range(range)
  if (kind === 'lines') {
    return linesAnswer(c, deps, table, { pages, limit: limit ?? Number.POSITIVE_INFINITY, check })
  }
  const page = { pages, limit: limit ?? deps.config.limits.pageLimit, check }
  return await pageAnswer(deps, table, page)
}

interface Wanted {
  readonly pages: AsyncIterable<Entry[]>
  readonly limit: number
  check(): void
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

function linesAnswer(
  c: HttpContext,
  { gate, logger }: HttpDeps,
  table: TableEntry,
  { pages, limit, check }: Wanted,
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
          const lines = await toMembers(table, entries, gate)
          check()
          controller.enqueue(Buffer.from(lines.map((line) => `${line}\n`).join('')))
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
  return new Response(stream, { headers: { 'content-type': 'application/x-ndjson' } })
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
