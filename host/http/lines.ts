// A batch of records as NDJSON: one line, one record; the first bad line refuses all.
import { HostError } from '../errors.js'
import type { CodecRef } from '../functions/catalog.js'
import { findJsonFault, memberText } from '../json-scan.js'
import { isBlank, LineSplitter } from '../line-splitter.js'
import { headerProblem, recordBytes } from '../log/limits.js'
import type { Header } from '../log/log.js'
import { toText } from './body.js'
import type { Gate } from './gate.js'
import { encodeAll, type Given } from './given.js'
import { readTimestamp } from './timestamp.js'

export interface LineRecord {
  readonly key: Buffer
  /** null: a tombstone. */
  readonly value: Buffer | null
  readonly headers: readonly Header[]
  readonly timestamp: number
}

interface Line extends Omit<LineRecord, 'value'> {
  readonly number: number
  readonly given: Given | null
}

export interface LineOptions {
  readonly codecs: readonly CodecRef[]
  readonly gate: Gate
  /** Throws for what is no key. */
  keys(key: Buffer): Buffer
  readonly maxLines: number
  readonly maxRecordBytes: number
  /** Of lines that have none, in ms since 1970. */
  readonly now: number
}

/** So many lines are read before the event loop has its turn. */
const linesAtOnce = 2000
const fields = ['key', 'value', 'headers', 'timestamp']

/** Throws BAD_LINE or RECORD_TOO_LARGE with the number of the first bad line, from 1; BODY_TOO_LARGE for too many; BAD_REQUEST for none. */
export async function readLines(
  chunks: AsyncIterable<Buffer>,
  options: LineOptions,
): Promise<LineRecord[]> {
  const records: LineRecord[] = []
  let batch: Line[] = []
  const encode = async () => {
    for (const record of await encodeLines(batch, options)) records.push(record)
    batch = []
    await new Promise((resolve) => setImmediate(resolve))
  }
  let number = 0
  for await (const bytes of splitLines(chunks)) {
    number++
    if (isBlank(bytes)) continue
    if (records.length + batch.length >= options.maxLines) {
      throw new HostError(
        'BODY_TOO_LARGE',
        `the body has more than ${options.maxLines} lines (limits.maxLines): send it in parts`,
      )
    }
    try {
      batch.push(parseLine(bytes, number, options))
    } catch (error) {
      // A value before it that its schema refuses comes first.
      await encodeLines(batch, options)
      throw error
    }
    if (batch.length >= linesAtOnce) await encode()
  }
  await encode()
  if (records.length === 0) {
    throw new HostError(
      'BAD_REQUEST',
      'the body has no line: send one JSON object a line, { "key", "value" }',
    )
  }
  return records
}

async function* splitLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const splitter = new LineSplitter()
  for await (const chunk of chunks) yield* splitter.push(chunk)
  yield* splitter.end()
}

function parseLine(bytes: Buffer, number: number, { keys, now }: LineOptions): Line {
  try {
    const text = toText(bytes, 'the line')
    const line = parseObject(text)
    for (const name of Object.keys(line)) {
      if (!fields.includes(name)) {
        throw new HostError(
          'BAD_VALUE',
          `unknown field ${JSON.stringify(name)}: known are ${fields.join(', ')}`,
        )
      }
    }
    if (typeof line.key !== 'string' || /\p{Surrogate}/u.test(line.key)) {
      throw new HostError('BAD_KEY', '"key" has to be a string')
    }
    if (line.value === undefined) {
      throw new HostError('BAD_VALUE', '"value" is missing: give one, or null for a tombstone')
    }
    return {
      number,
      key: keys(Buffer.from(line.key)),
      given: line.value === null ? null : givenLine(text, line.value),
      headers: readHeaders(line.headers),
      timestamp: line.timestamp === undefined ? now : readTimestamp(line.timestamp, '"timestamp"'),
    }
  } catch (error) {
    if (!(error instanceof HostError)) throw error
    throw badLine(number, error.message, { code: error.code })
  }
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    const fault = findJsonFault(text)
    const where = fault === undefined ? String(cause) : `column ${fault.column}: ${fault.message}`
    throw new HostError('BAD_JSON', `not JSON: ${where}`, { cause })
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw new HostError('BAD_VALUE', 'an object { "key", "value" } is wanted')
}

function givenLine(text: string, value: unknown): Given {
  return {
    raw: null,
    json: () => ({
      value,
      // A number that JavaScript cannot hold is taken from the line as it was written.
      text:
        typeof value === 'number' && !Number.isSafeInteger(value)
          ? (memberText(text, 'value') ?? JSON.stringify(value))
          : JSON.stringify(value),
    }),
  }
}

function readHeaders(headers: unknown): Header[] {
  if (headers === undefined) return []
  if (typeof headers !== 'object' || headers === null || Array.isArray(headers)) {
    throw new HostError('BAD_VALUE', '"headers" has to be an object of strings')
  }
  const entries = Object.entries(headers).map(([name, value]: [string, unknown]) => {
    if (typeof value === 'string') return [name, value] as const
    throw new HostError('BAD_VALUE', `the header ${JSON.stringify(name)} has to be a string`)
  })
  const problem = headerProblem(Object.fromEntries(entries))
  if (problem !== undefined) throw new HostError('BAD_VALUE', problem)
  return entries.map(([name, value]) => [name, Buffer.from(value)])
}

async function encodeLines(
  lines: readonly Line[],
  { codecs, gate, maxRecordBytes }: LineOptions,
): Promise<LineRecord[]> {
  const given = lines.flatMap((line) => (line.given === null ? [] : [line.given]))
  const encoded = await encodeAll(given, codecs, gate)
  let nth = 0
  return lines.map(({ number, given: isGiven, ...record }) => {
    const value = isGiven === null ? null : encoded[nth++]
    if (value === null || value instanceof Uint8Array) {
      const bytes = recordBytes({ ...record, value })
      if (bytes > maxRecordBytes) throw largeLine(number, bytes, maxRecordBytes)
      return { ...record, value }
    }
    const problems = value?.problems ?? []
    const text = problems.map(({ path, message }) =>
      path === '' ? message : `${path}: ${message}`,
    )
    throw badLine(number, `no codec takes its value: ${text.join('; ')}`, {
      code: 'BAD_VALUE',
      problems,
    })
  })
}

function largeLine(line: number, bytes: number, maxBytes: number): HostError {
  return new HostError(
    'RECORD_TOO_LARGE',
    `line ${line.toLocaleString('en-US')}: its record has ${bytes} bytes, allowed are ${maxBytes} (log.maxRecordBytes); ` +
      'no line was written: send less, or raise the limit',
    { details: { line } },
  )
}

function badLine(
  line: number,
  reason: string,
  details: Readonly<Record<string, unknown>>,
): HostError {
  return new HostError(
    'BAD_LINE',
    `line ${line.toLocaleString('en-US')}: ${reason}; no line was written`,
    {
      details: { line, ...details },
    },
  )
}
