// All routes in one Hono application.
import { Hono } from 'hono'
import { HostError } from '../errors.js'
import { createGatekeeper } from './access.js'
import { errorAnswer, failureAnswer } from './answer.js'
import { type HttpApp, type HttpDeps, type HttpEnv, isClustered } from './deps.js'
import { emitterRoutes } from './emitters.js'
import { functionRoutes } from './functions.js'
import { healthRoutes } from './health.js'
import { Moved, movedAnswer } from './peer-answer.js'
import { peerRoutes } from './peer-routes.js'
import { requestPath } from './target.js'
import { viewRoutes } from './views.js'
import { visitRoutes } from './visits.js'
import { createWaitingRoom } from './waiting.js'

export function createApp(deps: HttpDeps): HttpApp {
  const app: HttpApp = new Hono<HttpEnv>({
    getPath: (request, options) => requestPath(request, options?.env),
  })
  const gatekeeper = createGatekeeper(deps.config.http.tokens)
  const { maxWaiting } = deps.config.limits
  const createRoom = () => createWaitingRoom(maxWaiting, deps.stopping)
  const room = createRoom()

  viewRoutes(app, deps, gatekeeper, room)
  emitterRoutes(app, deps, gatekeeper)
  functionRoutes(app, deps, gatekeeper, room)
  visitRoutes(app, deps, gatekeeper)
  healthRoutes(app, deps)
  if (isClustered(deps)) {
    // Of their own: two instances full of clients that wait for the other would let nobody in for whom it could be answered. And so
    // for reads of others that wait for positions, by which nobody is asked further.
    peerRoutes(app, deps, { reads: createRoom(), positions: createRoom() })
  }

  app.notFound((c) => noRoute(app, c.req.method, c.req.path))
  app.onError((error) =>
    error instanceof Moved ? movedAnswer(error) : failureAnswer(error, deps.logger),
  )
  return app
}

function noRoute(app: HttpApp, method: string, path: string): Response {
  const methods = app.routes
    .filter((route) => toExpression(route.path).test(path))
    .flatMap((route) => (route.method === 'GET' ? ['GET', 'HEAD'] : [route.method]))
  if (methods.length > 0) {
    const allow = [...new Set(methods)].sort().join(', ')
    const error = new HostError(
      'UNKNOWN_ROUTE',
      `${method} is not for ${path}: allowed are ${allow}`,
    )
    return errorAnswer(error, { allow }, 405)
  }
  if (/^\/(views|emitters)\/[^/]+\/$/.test(path)) {
    return errorAnswer(new HostError('BAD_KEY', 'the key is empty: a key has at least one byte'))
  }
  if (/^\/(views|emitters)\/[^/]+\/./.test(path)) {
    return errorAnswer(
      new HostError('BAD_KEY', 'the key has a slash: write it as %2F, as encodeURIComponent does'),
    )
  }
  return errorAnswer(
    new HostError(
      'UNKNOWN_ROUTE',
      `there is nothing at ${path}: see GET /topology for streams and tables`,
    ),
  )
}

const toExpression = (route: string): RegExp => new RegExp(`^${route.replace(/:[^/]+/g, '[^/]+')}$`)
