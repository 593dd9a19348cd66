// Loads a server with GETs over raw connections, in a thread of its own: a full HTTP client would be the limit, not the server.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

export interface Load {
  readonly url: string
  readonly paths: readonly string[]
  readonly connections: number
  readonly durationMs: number
}

/** Requests a second. Any answer but 200 fails it. */
export async function loadWith(load: Load): Promise<number> {
  const worker = new Worker(new URL(import.meta.url), { workerData: load })
  const [rate]: unknown[] = await once(worker, 'message')
  if (typeof rate !== 'number') throw new Error(`the load ended with ${String(rate)}`)
  return rate
}

async function run({ url, paths, connections, durationMs }: Load): Promise<number> {
  const { hostname, port, host } = new URL(url)
  const requests = paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  let answered = 0
  const began = performance.now()
  const converse = async (socket: Socket, first: number): Promise<void> => {
    let next = first
    let rest = ''
    socket.setNoDelay(true)
    socket.setEncoding('latin1')
    socket.write(requests[next % requests.length] ?? '')
    for await (const chunk of socket) {
      rest += chunk
      const end = endOfAnswer(rest)
      if (end === undefined) continue
      rest = rest.slice(end)
      answered += 1
      if (performance.now() - began >= durationMs) return
      next += connections
      socket.write(requests[next % requests.length] ?? '')
    }
    throw new Error('the server closed a connection')
  }
  const sockets = Array.from({ length: connections }, () => connect(Number(port), hostname))
  await Promise.all(sockets.map(converse))
  return (answered * 1000) / (performance.now() - began)
}

/** Undefined: more has to come. */
function endOfAnswer(text: string): number | undefined {
  const head = text.indexOf('\r\n\r\n')
  if (head === -1) return undefined
  if (!text.startsWith('HTTP/1.1 200 ')) throw new Error(text.slice(0, head))
  const [, length] = /\r\ncontent-length: *(\d+)/i.exec(text) ?? []
  if (length !== undefined) {
    const end = head + 4 + Number(length)
    return text.length >= end ? end : undefined
  }
  const last = text.indexOf('0\r\n\r\n', head + 4)
  return last === -1 ? undefined : last + 5
}

if (!isMainThread && parentPort !== null) parentPort.postMessage(await run(workerData))
