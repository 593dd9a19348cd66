// The socket: listens, and stops without cutting off who is being answered.
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import { HostError } from '../errors.js'
import type { HttpApp } from './deps.js'
import type { QuickRead } from './quick-read.js'

export interface Listener extends AsyncDisposable {
  /** With the port that was taken, should 0 have been asked for. */
  readonly url: string
}

export interface ListenOptions {
  readonly host: string
  readonly port: number
  /** How long requests in flight may take to end once it stops; then their connections are cut. */
  readonly graceMs?: number
  /** Asked before the application. */
  readonly quickRead?: QuickRead
}

/** Throws PORT_IN_USE, CANNOT_LISTEN. Disposing takes no new connections and lets requests in flight end. */
export async function listen(
  app: Pick<HttpApp, 'fetch'>,
  { host, port, graceMs = 3000, quickRead = () => false }: ListenOptions,
): Promise<Listener> {
  const answer = getRequestListener(app.fetch)
  const server = createServer((request, response) => {
    // It answers for whatever goes wrong by itself.
    if (!quickRead(request, response)) void answer(request, response)
  })
  server.listen(port, host)
  try {
    await once(server, 'listening')
  } catch (cause) {
    throw cannotListen(cause, host, port)
  }
  const address = server.address()
  const taken = typeof address === 'object' && address !== null ? address.port : port
  const name = host.includes(':') ? `[${host}]` : host
  return {
    url: `http://${name}:${taken}`,
    [Symbol.asyncDispose]: () => close(server, graceMs),
  }
}

/** Before anything runs: throws what `listen` would throw now. */
export async function probePort({
  host,
  port,
}: Pick<ListenOptions, 'host' | 'port'>): Promise<void> {
  if (port === 0) return
  const server = createServer().listen(port, host)
  try {
    await once(server, 'listening')
  } catch (cause) {
    throw cannotListen(cause, host, port)
  }
  server.close()
  await once(server, 'close')
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
