// A visit: asked for by one request, ended with it, and told either at its end or line by line as it goes on.
import { visitEverywhere } from '../cluster/visit.js'
import { asHostError, HostError } from '../errors.js'
import type { VisitOrder } from '../functions/operation.js'
import type { VisitProgress, VisitReport } from '../processor/visiting.js'
import type { Gatekeeper } from './access.js'
import { errorBody, json } from './answer.js'
import { readBody, toText } from './body.js'
import { clientOf } from './client.js'
import { type HttpApp, type HttpContext, type HttpDeps, isClustered } from './deps.js'
import { parse } from './given.js'
import { decodeText, segment } from './target.js'
import { unknownFunction } from './unknown.js'

export function visitRoutes(app: HttpApp, deps: HttpDeps, gatekeeper: Gatekeeper): void {
  const { catalog, operator, stopping, config } = deps

  app.post('/functions/:name/visit/:visitor', async (c) => {
    const name = decodeText(segment(c.req.path, 2), 'the function')
    const visitor = decodeText(segment(c.req.path, 4), 'the visitor')
    const access = gatekeeper(c.req.header('authorization'))
    access.require(['admin'], name)
    if (stopping.aborted) throw new HostError('STOPPING', 'the host stops: try again in a moment')
    const argument = await argumentOf(c, config.limits.maxBodyBytes)
    const isLines = /\bapplication\/(x-)?ndjson\b/i.test(c.req.header('accept') ?? '')
    const run = async (order: Pick<VisitOrder, 'signal' | 'progressed'>) => {
      const given = { visitor, argument, isCounted: isLines, ...order }
      const report = await (isClustered(deps)
        ? visitEverywhere(deps, name, given)
        : operator.visit(name, given))
      if (report !== undefined) return { function: name, visitor, ...report }
      throw unknownFunction(name, [...catalog.states().keys()], access.mayName)
    }
    const request = new VisitRequest(c, stopping)
    if (isLines) return await linesAnswer(request, { run })
    try {
      return json(await run({ signal: request.signal, progressed: () => {} }))
    } finally {
      request.over()
    }
  })
}

/** JSON as it came; none: undefined. Throws BAD_JSON. */
async function argumentOf(c: HttpContext, maxBytes: number): Promise<string | undefined> {
  const body = await readBody(c, maxBytes)
  return body.length === 0 ? undefined : parse(toText(body, 'the argument')).text
}

/** Ends the visit when its client has gone, or the host stops. */
export class VisitRequest {
  readonly #end = new AbortController()
  readonly #undo: (() => void)[] = []

  constructor(c: HttpContext, stopping: AbortSignal) {
    const client = clientOf(c)
    this.#undo.push(() => client[Symbol.dispose]())
    this.#listen(client.signal, () => this.end('cancelled'))
    this.#listen(stopping, () => this.end('drained'))
  }

  get signal(): AbortSignal {
    return this.#end.signal
  }

  end(why: 'cancelled' | 'drained'): void {
    this.#end.abort(why)
  }

  over(): void {
    for (const undo of this.#undo.splice(0)) undo()
  }

  #listen(signal: AbortSignal, end: () => void): void {
    if (signal.aborted) end()
    signal.addEventListener('abort', end)
    this.#undo.push(() => signal.removeEventListener('abort', end))
  }
}

interface Followed {
  run(order: Pick<VisitOrder, 'signal' | 'progressed'>): Promise<VisitReport>
  /** After so long the last line comes again. Absent: there is one only when there is something new. */
  readonly repeatMs?: number
}

/** What it comes to before it has begun is told by the status; from then on the last line tells. */
export async function linesAnswer(
  request: VisitRequest,
  { run, repeatMs }: Followed,
): Promise<Response> {
  let latest: VisitProgress | undefined
  let told: VisitProgress | undefined
  let last: object | undefined
  let wake = () => {}
  let begun = () => {}
  const isBegun = new Promise<void>((resolve) => {
    begun = resolve
  })
  const report = run({
    signal: request.signal,
    progressed: (progress) => {
      latest = progress
      begun()
      wake()
    },
  })
  const ended = (line: object) => {
    last = line
    request.over()
    wake()
  }
  const telling = report.then(
    (done) => ended({ done }),
    (error: unknown) => ended(errorBody(asHostError(error))),
  )
  try {
    await Promise.race([isBegun, report])
  } catch (error) {
    await telling
    throw error
  }
  const woken = async () => {
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      wake = resolve
      if (repeatMs !== undefined) timer = setTimeout(resolve, repeatMs)
    })
    clearTimeout(timer)
  }
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (latest === undefined && last === undefined) await woken()
        const line = latest ?? last ?? told
        controller.enqueue(Buffer.from(`${JSON.stringify(line)}\n`))
        if (line === last) controller.close()
        told = latest ?? told
        latest = undefined
      },
      cancel: () => request.end('cancelled'),
    },
    // The newest is told, whenever the client takes a line.
    { highWaterMark: 0 },
  )
  return new Response(stream, { headers: { 'content-type': 'application/x-ndjson' } })
}
