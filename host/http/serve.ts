// The socket: listens, and stops without cutting off who is being answered.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { HostError } from '../errors.js'
import type { HttpApp } from './deps.js'
import { answersAlive } from './health.js'
import type { QuickRead } from './quick-read.js'

export interface Place {
  readonly host: string
  /** 0: any that is free. */
  readonly port: number
}

export interface ServeOptions {
  /** How long requests in flight may take to end once it stops; then their connections are cut. */
  readonly graceMs?: number
  /** Asked before the application. */
  readonly quickRead?: QuickRead
  /** Until then only other instances are answered, who know of the host from its groups: whoever else comes waits, but for who asks whether the process lives. */
  readonly opened?: Promise<unknown>
}

/** A port that is taken. Whoever comes before it is served waits, but for who asks whether the process lives. */
export interface BoundPort extends AsyncDisposable {
  /** With the port that was taken, should 0 have been asked for. */
  readonly url: string
  readonly port: number
  /** Disposing of what it returns takes no new connections and lets requests in flight end. */
  serve(app: Pick<HttpApp, 'fetch'>, options?: ServeOptions): Listener
}

export interface Listener extends AsyncDisposable {
  readonly url: string
}

/** Throws PORT_IN_USE, CANNOT_LISTEN. Disposing cuts off whoever still waits. */
export async function bindPort({ host, port }: Place): Promise<BoundPort> {
  let take: (answer: Answer) => void = () => {}
  const served = new Promise<Answer>((resolve) => {
    take = resolve
  })
  let answer: Answer = (request, response) => {
    if (!answersAlive(request, response)) void served.then((later) => later(request, response))
  }
  const server = createServer((request, response) => answer(request, response))
  server.listen(port, host)
  try {
    await once(server, 'listening')
  } catch (cause) {
    throw cannotListen(cause, host, port)
  }
  const address = server.address()
  const taken = typeof address === 'object' && address !== null ? address.port : port
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${taken}`
  return {
    url,
    port: taken,
    serve(app, { graceMs = 3000, ...options } = {}) {
      answer = answerOf(app, options)
      take(answer)
      return { url, [Symbol.asyncDispose]: () => close(server, graceMs) }
    },
    [Symbol.asyncDispose]: () => close(server, 0),
  }
}

/** Throws PORT_IN_USE, CANNOT_LISTEN. */
export async function listen(
  app: Pick<HttpApp, 'fetch'>,
  { host, port, ...options }: Place & ServeOptions,
): Promise<Listener> {
  return (await bindPort({ host, port })).serve(app, options)
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void

function answerOf(
  app: Pick<HttpApp, 'fetch'>,
  { quickRead = () => false, opened }: Omit<ServeOptions, 'graceMs'>,
): Answer {
  const listener = getRequestListener(app.fetch)
  // It answers for whatever goes wrong by itself.
  const route: Answer = (request, response) => void listener(request, response)
  const whole: Answer = (request, response) => {
    if (!quickRead(request, response)) route(request, response)
  }
  if (opened === undefined) return whole
  let isOpen = false
  // A start that fails ends the host, and with it all connections.
  const open = opened.then(
    () => {
      isOpen = true
    },
    () => {},
  )
  return (request, response) => {
    if (isOpen) whole(request, response)
    else if (answersAlive(request, response)) return
    else if (request.url?.startsWith('/cluster/')) route(request, response)
    else void open.then(() => whole(request, response))
  }
}

async function close(server: Server, graceMs: number): Promise<void> {
  if (!server.listening) return
  const closed = once(server, 'close')
  // A connection is kept alive after its last answer: each end of one lets go of those that are idle by then.
  const closeIdle = () => void setImmediate(() => server.closeIdleConnections())
  subscribe('http.server.response.finish', closeIdle)
  // A client that does not read its answer must not hold up the stop.
  const cut = setTimeout(() => server.closeAllConnections(), graceMs)
  try {
    server.close()
    await closed
  } finally {
    clearTimeout(cut)
    unsubscribe('http.server.response.finish', closeIdle)
  }
}

function cannotListen(cause: unknown, host: string, port: number): HostError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'EADDRINUSE') {
    return new HostError(
      'PORT_IN_USE',
      `port ${port} of ${host} is taken by another process: end that one, or take another port with --port or http.port (0: any that is free)`,
      { cause },
    )
  }
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new HostError(
    'CANNOT_LISTEN',
    `cannot listen on ${host} port ${port} (${reason}): take an address of this machine with --host or http.host, and a port from 1024 on`,
    { cause },
  )
}
