// Emitters: POST one value, DELETE for a tombstone, POST many lines.
import { asHostError, HostError } from '../errors.js'
import type { StreamEntry } from '../functions/catalog.js'
import { headerProblem } from '../log/limits.js'
import type { Header, RecordToAppend } from '../log/log.js'
import { partitionOf } from '../log/partitioner.js'
import { checkRecord } from '../log/problems.js'
import type { Gatekeeper } from './access.js'
import { json } from './answer.js'
import { bodyChunks, readBody } from './body.js'
import type { HttpApp, HttpContext, HttpDeps } from './deps.js'
import { encodeAll, givenBody } from './given.js'
import { readLines } from './lines.js'
import { streamKeys } from './stream-key.js'
import { decodeBytes, decodeText, segment } from './target.js'
import { readTimestamp } from './timestamp.js'
import { encodeToken } from './token.js'
import { unknownStream } from './unknown.js'

const headerPrefix = 'millrace-header-'

export function emitterRoutes(app: HttpApp, deps: HttpDeps, gatekeeper: Gatekeeper): void {
  const { catalog, log, gate, stopping } = deps
  const { maxBodyBytes, maxKeyBytes, maxLines } = deps.config.limits
  const { maxRecordBytes } = deps.config.log

  const streamOf = (c: HttpContext): StreamEntry => {
    const name = decodeText(segment(c.req.path, 2), 'the stream')
    const access = gatekeeper(c.req.header('authorization'))
    access.require(['emit'], name)
    const stream = catalog.stream(name)
    if (stream === undefined) throw unknownStream(name, catalog, access.mayName)
    if (stopping.aborted) throw new HostError('STOPPING', 'the host stops: try again in a moment')
    return stream
  }
  const keyOf = (c: HttpContext, stream: StreamEntry) =>
    streamKeys(stream, maxKeyBytes)(decodeBytes(segment(c.req.path, 3)))

  const append = async (stream: StreamEntry, records: readonly RecordToAppend[]) => {
    // First: once it is written, nothing else may fail.
    const topicId = await log.topicId(stream.topic).catch((error: unknown) => {
      throw nothingWritten(error)
    })
    if (topicId === undefined) {
      throw new HostError('UNKNOWN_TOPIC', `the topic ${stream.topic} is gone: restart the host`)
    }
    const offsets = await log.append(records, { atomic: true })
    const last = new Map<number, number>()
    records.forEach(({ partition }, index) => {
      last.set(partition, Math.max(last.get(partition) ?? 0, offsets[index] ?? 0))
    })
    return { offsets, token: encodeToken({ stream: stream.name, topicId, offsets: last }) }
  }

  const emitOne = async (
    c: HttpContext,
    stream: StreamEntry,
    key: Buffer,
    value: Buffer | null,
  ) => {
    const partition = partitionOf(key, stream.partitions, stream.hasher)
    const record = { topic: stream.topic, partition, key, value, ...recordHeaders(c) }
    checkRecord(record, maxRecordBytes)
    const { offsets, token } = await append(stream, [record])
    return json({ stream: stream.name, partition, offset: offsets[0], token }, 201)
  }

  app.post('/emitters/:stream/:key', async (c) => {
    const stream = streamOf(c)
    const key = keyOf(c, stream)
    recordHeaders(c)
    const body = await readBody(c, maxBodyBytes)
    const given = givenBody(body, c.req.header('content-type'))
    const [value] = await encodeAll([given], stream.codecs, gate)
    if (value instanceof Uint8Array) return emitOne(c, stream, key, value)
    const problems = value?.problems ?? []
    const text = problems.map(({ path, message }) =>
      path === '' ? message : `${path}: ${message}`,
    )
    throw new HostError(
      'BAD_VALUE',
      `no codec of the stream "${stream.name}" takes the value: ${text.join('; ')}`,
      { details: problems },
    )
  })

  app.delete('/emitters/:stream/:key', (c) => {
    const stream = streamOf(c)
    return emitOne(c, stream, keyOf(c, stream), null)
  })

  app.post('/emitters/:stream', async (c) => {
    const stream = streamOf(c)
    const limits = { keys: streamKeys(stream, maxKeyBytes), maxLines, maxRecordBytes }
    const options = { codecs: stream.codecs, gate, ...limits, now: Date.now() }
    const lines = await readLines(bodyChunks(c, maxBodyBytes), options)
    const { token } = await append(
      stream,
      lines.map((line) => ({
        topic: stream.topic,
        partition: partitionOf(line.key, stream.partitions, stream.hasher),
        ...line,
      })),
    )
    return json({ count: lines.length, token }, 201)
  })
}

/** Of what happened before anything was sent. */
function nothingWritten(error: unknown): HostError {
  const { code, message } = asHostError(error, 'LOG_FAILED')
  return new HostError(code, `nothing was written: ${message}`, { cause: error })
}

/** What the request's own headers say of the record. Names come in lower case, as HTTP has them. */
function recordHeaders(c: HttpContext): { timestamp: number; headers: Header[] } {
  const given = Object.fromEntries(
    [...c.req.raw.headers]
      .filter(([name]) => name.startsWith(headerPrefix))
      .map(([name, value]) => [name.slice(headerPrefix.length), value]),
  )
  const problem = headerProblem(given)
  if (problem !== undefined) throw new HostError('BAD_REQUEST', problem)
  // HTTP header values are bytes, which Node hands out as latin1.
  const headers = Object.entries(given).map(
    ([name, value]): Header => [name, Buffer.from(value, 'latin1')],
  )
  const timestamp = c.req.header('millrace-timestamp')
  return {
    headers,
    timestamp:
      timestamp === undefined ? Date.now() : readTimestamp(timestamp, 'millrace-timestamp'),
  }
}
