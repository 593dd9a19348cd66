// What other instances ask this one: for what it has itself, and never through a third.
import { packPage } from '../cluster/entries.js'
import type { PositionsAsked } from '../cluster/remote-positions.js'
import { HostError } from '../errors.js'
import type { Catalog, TableEntry } from '../functions/catalog.js'
import { partitionOf } from '../log/partitioner.js'
import type { ViewRange } from '../tables/view.js'
import { json } from './answer.js'
import { readKeys, textsHere } from './batch.js'
import { readBody, toText } from './body.js'
import { clientOf } from './client.js'
import type { ClusteredDeps, HttpApp, HttpContext } from './deps.js'
import { parse } from './given.js'
import { readHere } from './key-read.js'
import { pagesAnswer } from './list.js'
import { nextChange } from './next-change.js'
import { begin, pagesHere } from './pages.js'
import { Moved } from './peer-answer.js'
import { peerProof } from './peer-proof.js'
import { peerVisitRoutes } from './peer-visits.js'
import { checkKey, decodeBytes, decodeText, readCount, requestTarget, segment } from './target.js'
import { viewQuery } from './view-query.js'
import type { Wait, WaitingRoom } from './waiting.js'

/** What waits for others in one never waits for more in the same. */
export interface PeerRooms {
  readonly reads: WaitingRoom
  readonly positions: WaitingRoom
}

export function peerRoutes(app: HttpApp, deps: ClusteredDeps, rooms: PeerRooms): void {
  const { catalog } = deps
  const { limits } = deps.config
  /** The one that asks has looked at what its client allows. */
  const waitLimits = { ...limits, maxWaitTimeoutMs: Number.MAX_SAFE_INTEGER }

  /** A table that is not known here, or not yet, is elsewhere for the one that asks. */
  const tableOf = (c: HttpContext): TableEntry => {
    const name = decodeText(segment(c.req.path, 3), 'the table')
    const table = catalog.table(name)
    if (table !== undefined) return table
    throw new Moved(`there is no table "${name}" yet`)
  }

  app.use(
    '/cluster/*',
    peerProof(deps, (path) => readingPaths.test(path)),
  )

  app.get('/cluster/views/:table/:key', async (c) => {
    const table = tableOf(c)
    const key = checkKey(decodeBytes(segment(c.req.path, 4)), limits.maxKeyBytes)
    const partition = partitionOf(key, table.partitions, table.hasher)
    const query = viewQuery(requestTarget(c.req.raw, c.env), waitLimits)
    const asked = { table: table.name, function: table.function, partition, key, query }
    return await atHome(table, [partition], () =>
      readHere(deps, c, asked, { room: rooms.reads, table: () => tableOf(c) }),
    )
  })

  app.get('/cluster/views/:table', async (c) => {
    const table = tableOf(c)
    const query = viewQuery(requestTarget(c.req.raw, c.env), waitLimits, rangeParameters)
    const { isStaleOk, given } = query
    const partitions = (given.get('partitions')?.at(-1) ?? '').split(',').map(Number)
    const limit = readCount(given, 'limit', Number.MAX_SAFE_INTEGER) ?? Number.POSITIVE_INFINITY
    const { pages, check } = await atHome(table, partitions, async () => {
      const found = pagesHere(table, { range: bounds(given), isStaleOk }, partitions)
      const begun = await begin(found.pages)
      found.check()
      return { ...found, pages: begun }
    })
    return pagesAnswer(c, deps, table, { pages, limit, check, encode: packPage })
  })

  app.post('/cluster/views/:table', async (c) => {
    const table = tableOf(c)
    const { isStaleOk } = viewQuery(requestTarget(c.req.raw, c.env), waitLimits)
    const body = toText(await readBody(c, Number.MAX_SAFE_INTEGER), 'the body')
    const keys = readKeys(parse(body).value, anyKeys)
    const partitions = keys.map(({ bytes }) => partitionOf(bytes, table.partitions, table.hasher))
    const texts = await atHome(table, partitions, () => textsHere(deps, table, { keys, isStaleOk }))
    return json(keys.map(({ name }) => texts.get(name) ?? null))
  })

  app.delete('/cluster/views/:table/:key', async (c) => {
    const name = decodeText(segment(c.req.path, 3), 'the table')
    // Where there is no such function, nor one that is being loaded, there is nothing to evict.
    if (!catalog.states().has(name)) return c.body(null, 204)
    const table = tableOf(c)
    const key = decodeBytes(segment(c.req.path, 4))
    const partition = partitionOf(key, table.partitions, table.hasher)
    await deps.operator.evict(table.function, partition, key)
    return c.body(null, 204)
  })

  app.get('/cluster/functions', () =>
    json({ functions: [...catalog.states().keys()].map((name) => catalog.condition(name)) }),
  )

  app.post('/cluster/functions/:name/heartbeat', (c) => {
    deps.operator.heartbeat(decodeText(segment(c.req.path, 3), 'the function'))
    return c.body(null, 204)
  })

  peerVisitRoutes(app, deps)

  app.post('/cluster/positions', async (c) => {
    const asked: PositionsAsked = JSON.parse(
      toText(await readBody(c, Number.MAX_SAFE_INTEGER), 'the body'),
    )
    using client = clientOf(c)
    using wait = rooms.positions.enter({ timeoutMs: asked.waitMs, client: client.signal })
    return json(await positionsReached(catalog, asked, wait))
  })

  /** Refused by what is not here: by the one that asks it is to be looked for elsewhere. */
  const atHome = async <T>(
    table: TableEntry,
    partitions: readonly number[],
    work: () => Promise<T>,
  ): Promise<T> => {
    const needHere = () => {
      const away = partitions.find((partition) => !catalog.isOwned(table.function, partition))
      if (away === undefined) return
      throw new Moved(`partition ${away} of the table "${table.name}" is not here`)
    }
    needHere()
    try {
      return await work()
    } catch (error) {
      needHere()
      throw error
    }
  }
}

/** When all are reached, or one cannot be reached here any more, or the time is up: what they are. */
async function positionsReached(
  catalog: Catalog,
  { function: name, needs }: PositionsAsked,
  wait: Wait,
): Promise<number[]> {
  const positions = () =>
    needs.map(({ topic, partition }) => catalog.position(name, topic, partition))
  for (;;) {
    using change = nextChange(catalog, name)
    const found = positions()
    const behind = needs.filter(({ position }, index) => (found[index] ?? 0) < position)
    const isOver = behind.some(({ partition }) => !catalog.isOwned(name, partition))
    if (behind.length === 0 || isOver) return found
    try {
      await wait.for(change.happened)
    } catch (error) {
      if (error instanceof HostError && error.code === 'WAIT_TIMEOUT') return positions()
      throw error
    }
  }
}

/** That are posted to for the length of what is asked: anything else that is posted is done once. */
const readingPaths = /^\/cluster\/(positions|views\/[^/]+|functions\/[^/]+\/heartbeat)$/

const rangeParameters = ['partitions', 'from', 'to', 'limit']
/** The one that asks has looked at what its client may ask for. */
const anyKeys = { maxPageLimit: Number.MAX_SAFE_INTEGER, maxKeyBytes: Number.MAX_SAFE_INTEGER }

function bounds(given: ReadonlyMap<string, readonly string[]>): ViewRange {
  const [from, to] = ['from', 'to'].map((name) => {
    const text = given.get(name)?.at(-1)
    return text === undefined ? undefined : Buffer.from(text, 'base64url')
  })
  return { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }
}
