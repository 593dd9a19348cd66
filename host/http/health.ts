// For what watches the process: does it live, and is it ready? Neither needs a token.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { HostError } from '../errors.js'
import { errorAnswer, json, jsonType } from './answer.js'
import type { HttpApp, HttpDeps } from './deps.js'

const alive = { status: 'alive' }

/** Whether it was asked whether the process lives, and is answered: that is so before there are routes, too. */
export function answersAlive({ method, url }: IncomingMessage, response: ServerResponse): boolean {
  if (url !== '/healthz' || (method !== 'GET' && method !== 'HEAD')) return false
  response.writeHead(200, jsonType).end(method === 'HEAD' ? undefined : JSON.stringify(alive))
  return true
}

export function healthRoutes(app: HttpApp, { catalog, stopping }: HttpDeps): void {
  app.get('/healthz', () => json(alive))

  app.get('/readyz', () => {
    if (stopping.aborted) return errorAnswer(new HostError('STOPPING', 'the host stops'))
    const problem = catalog.problem()
    if (problem !== undefined) return errorAnswer(problem)
    const waiting = [...catalog.states()]
      .filter(([, state]) => state !== 'running' && state !== 'paused')
      .map(([name, state]) => {
        const { waitingFor = [] } = catalog.condition(name) ?? {}
        return { function: name, state, ...(waitingFor.length === 0 ? {} : { for: waitingFor }) }
      })
    if (waiting.length === 0) return json({ status: 'ready' })
    const names = waiting.map(({ function: name, state }) => `${name} (${state})`).join(', ')
    return errorAnswer(
      new HostError('RECOVERING', `not ready: waiting for ${names}`, {
        details: { waitingFor: waiting },
      }),
    )
  })
}
