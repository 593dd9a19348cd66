// For what watches the process: does it live, and is it ready? Neither needs a token.
import { HostError } from '../errors.js'
import { errorAnswer, json } from './answer.js'
import type { HttpApp, HttpDeps } from './deps.js'

export function healthRoutes(app: HttpApp, { catalog, stopping }: HttpDeps): void {
  app.get('/healthz', () => json({ status: 'alive' }))

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
