// What other instances ask this one: for what it has itself, and never through a third.

import { credentialHeader } from '../cluster/credential.js'
import { answersHeader, askedHeader } from '../cluster/headers.js'
import type { TableEntry } from '../functions/catalog.js'
import { partitionOf } from '../log/partitioner.js'
import { failureAnswer } from './answer.js'
import type { ClusteredDeps, HttpApp, HttpContext } from './deps.js'
import { readHere } from './key-read.js'
import { Moved, movedAnswer } from './peer-answer.js'
import { checkKey, decodeBytes, decodeText, requestTarget, segment } from './target.js'
import { viewQuery } from './view-query.js'
import type { WaitingRoom } from './waiting.js'

export function peerRoutes(app: HttpApp, deps: ClusteredDeps, room: WaitingRoom): void {
  const { catalog, cluster } = deps
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

  app.use('/cluster/*', async (c, next) => {
    const refusal = refusalOf(c)
    if (refusal === undefined) await next()
    else c.res = refusal
    c.res.headers.set(answersHeader, cluster.instance)
  })

  const refusalOf = (c: HttpContext): Response | undefined => {
    try {
      cluster.admit(c.req.header(credentialHeader))
    } catch (error) {
      return failureAnswer(error, deps.logger)
    }
    if (c.req.header(askedHeader) === cluster.instance) return undefined
    return movedAnswer(new Moved(`this is ${cluster.instance}, and another was asked`))
  }

  app.get('/cluster/views/:table/:key', async (c) => {
    const table = tableOf(c)
    const key = checkKey(decodeBytes(segment(c.req.path, 4)), limits.maxKeyBytes)
    const partition = partitionOf(key, table.partitions, table.hasher)
    const query = viewQuery(requestTarget(c.req.raw, c.env), waitLimits)
    const asked = { table: table.name, function: table.function, partition, key, query }
    return await atHome(table, partition, () =>
      readHere(deps, c, asked, { room, table: () => tableOf(c) }),
    )
  })

  /** Refused by what is not here: by the one that asks it is to be looked for elsewhere. */
  const atHome = async <T>(
    table: TableEntry,
    partition: number,
    work: () => Promise<T>,
  ): Promise<T> => {
    const isHere = () => catalog.isOwned(table.function, partition)
    if (!isHere())
      throw new Moved(`partition ${partition} of the table "${table.name}" is not here`)
    try {
      return await work()
    } catch (error) {
      if (isHere()) throw error
      throw new Moved(`partition ${partition} of the table "${table.name}" has gone elsewhere`)
    }
  }
}
