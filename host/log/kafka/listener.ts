// What a broker's listener speaks, found out by asking it: for the message when a connection to it fails.
import { connect, isIP, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectByTls } from 'node:tls'
import { kafkaErrors } from './error-codes.js'
import { Reader, Writer } from './wire.js'

export interface Listener {
  /** By which one may show who one is, in Kafka's spelling; undefined: it does not ask for that. */
  readonly mechanisms: readonly string[] | undefined
}

const apiVersions = { apiKey: 18, apiVersion: 0, correlationId: 1 }
const saslHandshake = { apiKey: 17, apiVersion: 1, correlationId: 2 }
/** One that no broker knows: it answers with those that it knows. */
const noMechanism = 'NONE'
/** What it answers to both is far below. */
const mostBytes = 64 * 1024
const lengthBytes = 4

/** By TLS with `ssl`. Undefined: it does not answer as a broker does, or not in time. */
export async function listenerAt(
  address: string,
  ssl: ConnectionOptions | undefined,
  withinMs: number,
): Promise<Listener | undefined> {
  const at = placeOf(address)
  const socket = ssl === undefined ? connect(at) : connectByTls({ ...at, ...ssl })
  socket.write(framed(apiVersions))
  socket.write(framed(saslHandshake, (writer) => writer.string(noMechanism)))
  const [versions, handshake] = framesIn(await received(socket, withinMs))
  if (versions === undefined || handshake === undefined) return undefined
  const reader = new Reader(handshake, false)
  if (versions.readInt32BE() !== apiVersions.correlationId) return undefined
  if (reader.int32() !== saslHandshake.correlationId) return undefined
  switch (reader.int16()) {
    case kafkaErrors.ILLEGAL_SASL_STATE:
      return { mechanisms: undefined }
    case kafkaErrors.UNSUPPORTED_SASL_MECHANISM:
      return { mechanisms: reader.array(() => reader.text()).sort() }
    default:
      return undefined
  }
}

/** Whatever certificate it has, and whether or not it takes ours. */
export async function speaksTls(address: string, withinMs: number): Promise<boolean> {
  return await new Promise<boolean>((resolve) => {
    const socket = connectByTls({ ...placeOf(address), rejectUnauthorized: false })
    const end = (speaks: boolean) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(speaks)
    }
    const timer = setTimeout(() => end(false), withinMs)
    socket.once('secureConnect', () => end(true))
    socket.on('error', (error) =>
      end('code' in error && /^ERR_SSL_.*ALERT/.test(String(error.code))),
    )
    socket.once('close', () => end(false))
  })
}

function placeOf(address: string): { host: string; port: number; servername?: string } {
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
  // A name is asked for by TLS; an address cannot be.
  return {
    host,
    port: Number(address.slice(colon + 1)),
    ...(isIP(host) === 0 ? { servername: host } : {}),
  }
}

function framed(
  { apiKey, apiVersion, correlationId }: typeof apiVersions,
  body: (writer: Writer) => unknown = () => {},
): Buffer {
  const writer = new Writer(false)
  writer.int16(apiKey).int16(apiVersion).int32(correlationId).string('millrace')
  body(writer)
  const bytes = writer.take()
  const length = Buffer.alloc(lengthBytes)
  length.writeInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

/** What comes until there are two answers, the connection ends, or the time is over. */
function received(socket: Socket, withinMs: number): Promise<Buffer> {
  return new Promise((resolve) => {
    let bytes: Buffer = Buffer.alloc(0)
    const end = () => {
      clearTimeout(timer)
      socket.destroy()
      resolve(bytes)
    }
    const timer = setTimeout(end, withinMs)
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk])
      if (framesIn(bytes).length >= 2 || bytes.length > mostBytes) end()
    })
    socket.on('error', end)
    socket.once('close', end)
  })
}

function framesIn(bytes: Buffer): Buffer[] {
  const frames: Buffer[] = []
  let at = 0
  while (bytes.length >= at + lengthBytes) {
    const length = bytes.readInt32BE(at)
    const end = at + lengthBytes + length
    // No answer of a broker is as short.
    if (length < lengthBytes || end > bytes.length) break
    frames.push(bytes.subarray(at + lengthBytes, end))
    at = end
  }
  return frames
}
