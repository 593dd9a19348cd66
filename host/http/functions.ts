// What runs: the functions, one function, how they hang together, and what a person may have one do.
import { withInstances } from '../cluster/instances.js'
import { HostError } from '../errors.js'
import type { FunctionStatus } from '../functions/catalog.js'
import { operations } from '../functions/operation.js'
import type { Access, Gatekeeper } from './access.js'
import { json } from './answer.js'
import type { HttpApp, HttpContext, HttpDeps } from './deps.js'
import { decodeText, segment } from './target.js'
import { unknownFunction } from './unknown.js'
import type { WaitingRoom } from './waiting.js'
import { watchFunction } from './watch-function.js'

export function functionRoutes(
  app: HttpApp,
  { catalog, operator, stopping, cluster }: HttpDeps,
  gatekeeper: Gatekeeper,
  room: WaitingRoom,
): void {
  const enter = (c: HttpContext, name?: string) => {
    const access = gatekeeper(c.req.header('authorization'))
    access.require(['read', 'admin'], name)
    return access
  }

  const unknown = (name: string, { mayName }: Access) =>
    unknownFunction(name, [...catalog.states().keys()], mayName)

  const everywhere = async (functions: readonly FunctionStatus[]) =>
    cluster === undefined ? functions : await withInstances(catalog, cluster, functions)

  const statusOf = async (name: string): Promise<FunctionStatus | undefined> => {
    const status = await catalog.function(name)
    return status && (await everywhere([status]))[0]
  }

  app.get('/functions', async (c) => {
    const access = enter(c)
    const functions = (await catalog.functions()).filter(({ name }) => access.mayName(name))
    return json({ functions: await everywhere(functions) })
  })

  app.get('/functions/:name', async (c) => {
    const name = decodeText(segment(c.req.path, 2), 'the function')
    const access = enter(c, name)
    if (/\btext\/event-stream\b/i.test(c.req.header('accept') ?? '')) {
      if (catalog.condition(name) === undefined) throw unknown(name, access)
      return watchFunction(c, catalog, room, name)
    }
    const status = await statusOf(name)
    if (status === undefined) throw unknown(name, access)
    return json(status)
  })

  for (const operation of operations) {
    app.post(`/functions/:name/${operation}`, async (c) => {
      const name = decodeText(segment(c.req.path, 2), 'the function')
      const access = gatekeeper(c.req.header('authorization'))
      access.require(['admin'], name)
      if (stopping.aborted) throw new HostError('STOPPING', 'the host stops: try again in a moment')
      const asked = await operator.operate(name, operation)
      const status = asked && (await statusOf(name))
      if (!status) throw unknown(name, access)
      return json({ ...status, asked })
    })
  }

  app.post('/functions/:name/reset', async (c) => {
    const name = decodeText(segment(c.req.path, 2), 'the function')
    const access = gatekeeper(c.req.header('authorization'))
    access.require(['admin'], name)
    if (stopping.aborted) throw new HostError('STOPPING', 'the host stops: try again in a moment')
    const report = await operator.reset(name)
    if (report === undefined) throw unknown(name, access)
    return json({ function: name, ...report })
  })

  app.get('/topology', (c) => {
    const { mayName } = enter(c)
    const { functions, streams, tables, edges } = catalog.topology()
    const mayNode = (node: string) => mayName(node.slice(node.indexOf(':') + 1))
    return json({
      functions: functions.filter(({ name }) => mayName(name)),
      streams: streams.filter(({ name }) => mayName(name)),
      tables: tables.filter(({ name }) => mayName(name)),
      edges: edges.filter(({ from, to }) => mayNode(from) && mayNode(to)),
    })
  })
}
