// What another instance has visited here: the partitions that it expects this one to have, followed line by line.
import type { VisitAsked } from '../cluster/remote-visit.js'
import { HostError } from '../errors.js'
import { readBody, toText } from './body.js'
import type { ClusteredDeps, HttpApp } from './deps.js'
import { Moved } from './peer-answer.js'
import { decodeText, segment } from './target.js'
import { linesAnswer, VisitRequest } from './visits.js'

export function peerVisitRoutes(app: HttpApp, deps: ClusteredDeps): void {
  const { operator, stopping, cluster } = deps
  /** Those that are under way, by the id that the one that asks has given. */
  const requests = new Map<string, VisitRequest>()
  const path = '/cluster/functions/:name/visits/:id'

  app.post(path, async (c) => {
    const name = decodeText(segment(c.req.path, 3), 'the function')
    const id = segment(c.req.path, 5)
    if (stopping.aborted) throw new HostError('STOPPING', 'the host stops: try again in a moment')
    const { argument, ...asked }: VisitAsked = JSON.parse(
      toText(await readBody(c, Number.MAX_SAFE_INTEGER), 'the body'),
    )
    const request = new VisitRequest(c, stopping)
    requests.set(id, request)
    const answer = linesAnswer(request, {
      // Several before it is missed.
      repeatMs: cluster.timeoutMs / 4,
      run: async (order) => {
        try {
          const given = { ...asked, argument: argument ?? undefined, ...order }
          const report = await operator.visit(name, given)
          if (report !== undefined) return report
          throw new Moved(`there is no function "${name}" yet`)
        } finally {
          requests.delete(id)
        }
      },
    })
    return await answer
  })

  app.delete(path, (c) => {
    const why = new URL(c.req.url).searchParams.get('why')
    requests.get(segment(c.req.path, 5))?.end(why === 'drained' ? 'drained' : 'cancelled')
    return c.body(null, 204)
  })
}
