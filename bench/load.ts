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
  const requests = paths.map((path) => Buffer.from(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`))
  let answered = 0
  const began = performance.now()
  // By events and on bytes: a client that is slower than the server would be what is measured.
  const converse = (socket: Socket, first: number): Promise<void> =>
    new Promise((resolve, reject) => {
      let next = first
      let rest: Buffer = nothing
      const ask = () => socket.write(requests[next % requests.length] ?? nothing)
      socket.setNoDelay(true)
      socket.on('error', reject)
      socket.on('close', () => reject(new Error('the server closed a connection')))
      socket.on('data', (chunk: Buffer) => {
        const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
        const end = endOfAnswer(bytes)
        if (end === undefined) {
          rest = bytes
          return
        }
        rest = bytes.subarray(end)
        answered += 1
        if (performance.now() - began >= durationMs) {
          socket.removeAllListeners('close')
          socket.destroy()
          resolve()
          return
        }
        next += connections
        ask()
      })
      ask()
    })
  const sockets = Array.from({ length: connections }, () => connect(Number(port), hostname))
  await Promise.all(sockets.map(converse))
  return (answered * 1000) / (performance.now() - began)
}

const nothing = Buffer.alloc(0)
const good = Buffer.from('HTTP/1.1 200 ')
const blank = Buffer.from('\r\n\r\n')
const lengthName = Buffer.from('ontent-')
const [letterL, smallL] = [0x4c, 0x6c]
const lastChunk = Buffer.from('\r\n0\r\n\r\n')

/** Undefined: more has to come. */
function endOfAnswer(bytes: Buffer): number | undefined {
  const head = bytes.indexOf(blank)
  if (head === -1) return undefined
  if (bytes.compare(good, 0, good.length, 0, good.length) !== 0) {
    throw new Error(bytes.toString('latin1', 0, head))
  }
  // Either case, and after the type or before it.
  for (let at = bytes.indexOf(lengthName); at !== -1 && at < head; ) {
    const value = at + lengthName.length
    if ((bytes[value] ?? 0) === letterL || (bytes[value] ?? 0) === smallL) {
      const end =
        head + blank.length + Number.parseInt(bytes.toString('latin1', value + 7, value + 20), 10)
      return bytes.length >= end ? end : undefined
    }
    at = bytes.indexOf(lengthName, value)
  }
  const last = bytes.indexOf(lastChunk, head)
  return last === -1 ? undefined : last + lastChunk.length
}

if (!isMainThread && parentPort !== null) parentPort.postMessage(await run(workerData))
