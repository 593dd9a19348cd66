// Sends lines in batches, one after another, each written wholly or not at all, and keeps account of what the host has acknowledged.
import { HostError } from '../errors.js'
import { decodeToken, encodeToken, type Token } from '../http/token.js'
import { isBlank, LineSplitter } from '../line-splitter.js'
import { isObject } from '../object.js'
import type { HostClient } from './client.js'
import { grouped } from './output.js'

/** What has become of the lines so far. */
export interface Lines {
  acknowledged: number
  refused: number
  /** Everything up to this line, counted from 1, is written or was refused. */
  writtenTo: number
  /** The same in bytes of the input. */
  writtenBytes: number
  /** A reader that waits for it sees all that is acknowledged. */
  token: string | undefined
}

export interface LineProblem {
  readonly line: number
  readonly code: string
  readonly message: string
}

export interface EmitLinesOptions {
  readonly client: HostClient
  readonly stream: string
  readonly source: AsyncIterable<Buffer> & { destroy(): unknown }
  /** Leave out lines that are refused; else the first ends it. */
  readonly isSkipping: boolean
  /** Kept up to date, for whoever has to say how far it came. */
  readonly lines: Lines
  refused(problem: LineProblem): void
  /** The account of the lines has changed. */
  moved(): void
  readonly signal: AbortSignal
}

interface Line {
  readonly number: number
  readonly bytes: Buffer
  /** In the input: where it ends. */
  readonly end: number
}

const maxBatchLines = 1000
const maxBatchBytes = 1024 * 1024
/** A line without an end would be kept for ever. */
const maxLineBytes = 64 * 1024 * 1024

/** Rejects with the host's error if a line is refused and none may be, or if the host can't be asked. */
export async function emitLines(options: EmitLinesOptions): Promise<void> {
  const { source, signal, lines, moved } = options
  const sender = new Sender(options)
  const splitter = new LineSplitter()
  const stop = () => void source.destroy()
  signal.addEventListener('abort', stop)
  let number = 0
  let end = 0
  const take = async (found: Iterable<Buffer>) => {
    for (const bytes of found) {
      number++
      end += bytes.length + 1
      if (!isBlank(bytes)) await sender.add({ number, bytes, end })
      if (signal.aborted) return
    }
    // What has come is sent at once: more may be long in coming.
    await sender.flush()
    if (signal.aborted) return
    lines.writtenTo = number
    lines.writtenBytes = end
    moved()
  }
  try {
    for await (const chunk of source) {
      await take(splitter.push(chunk))
      if (signal.aborted) return
      if (splitter.begunBytes > maxLineBytes) {
        throw new HostError('BAD_LINE', `line ${number + 1} has more than ${maxLineBytes} bytes`)
      }
    }
    await take(splitter.end())
  } catch (error) {
    // The source was closed on our own account.
    if (!signal.aborted || error instanceof HostError) throw error
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

class Sender {
  readonly #options: EmitLinesOptions
  #batch: Line[] = []
  #bytes = 0
  #token: Token | undefined

  constructor(options: EmitLinesOptions) {
    this.#options = options
  }

  async add(line: Line): Promise<void> {
    const isFull =
      this.#batch.length >= maxBatchLines || this.#bytes + line.bytes.length > maxBatchBytes
    if (isFull) await this.flush()
    this.#batch.push(line)
    this.#bytes += line.bytes.length + 1
  }

  async flush(): Promise<void> {
    const batch = this.#batch
    this.#batch = []
    this.#bytes = 0
    await this.#send(batch)
  }

  async #send(batch: readonly Line[]): Promise<void> {
    const { signal, lines } = this.#options
    const last = batch.at(-1)
    if (last === undefined || signal.aborted) return
    try {
      const { count, token } = await this.#post(batch)
      lines.acknowledged += count
      this.#token = merged(this.#token, decodeToken(token))
      lines.token = encodeToken(this.#token)
      this.#written(last)
    } catch (error) {
      if (!(error instanceof HostError)) throw error
      await this.#sendParts(batch, error)
    }
  }

  /** After a refusal: halves of what was too much, or what lies around a bad line. */
  async #sendParts(batch: readonly Line[], error: HostError): Promise<void> {
    if (error.code === 'BODY_TOO_LARGE' && batch.length > 1) {
      const half = Math.ceil(batch.length / 2)
      await this.#send(batch.slice(0, half))
      await this.#send(batch.slice(half))
      return
    }
    const at = badIndex(error)
    const bad = batch[at]
    if (bad === undefined) throw brokenOff(error, batch, this.#options.lines)
    const problem = { line: bad.number, code: error.code, message: reasonOf(error) }
    const { isSkipping, lines, refused } = this.#options
    if (!isSkipping) throw stoppedAt(problem, lines)
    await this.#send(batch.slice(0, at))
    lines.refused++
    this.#written(bad)
    refused(problem)
    await this.#send(batch.slice(at + 1))
  }

  #written({ number, end }: Line): void {
    const { lines, moved } = this.#options
    lines.writtenTo = number
    lines.writtenBytes = end
    moved()
  }

  async #post(batch: readonly Line[]): Promise<{ count: number; token: string }> {
    const { client, stream } = this.#options
    const lineFeed = Buffer.from('\n')
    return await client.json({
      method: 'POST',
      path: `/emitters/${encodeURIComponent(stream)}`,
      headers: { 'content-type': 'application/x-ndjson' },
      body: Buffer.concat(batch.flatMap(({ bytes }) => [bytes, lineFeed])),
    })
  }
}

function badIndex({ code, details }: HostError): number {
  if (code === 'BODY_TOO_LARGE') return 0
  return isObject(details) && typeof details.line === 'number' ? details.line - 1 : -1
}

/** The host counts the lines of one request. */
const reasonOf = ({ message }: HostError): string =>
  message.replace(/^line [\d,]+: /, '').replace(/; no line was written(: .*)?$/, '')

function stoppedAt({ line, code, message }: LineProblem, { writtenTo }: Lines): HostError {
  const written =
    writtenTo === 0
      ? 'nothing was written'
      : `nothing behind line ${grouped(writtenTo)} was written`
  const goOn = writtenTo === 0 ? 'send all again' : `go on with tail -n +${writtenTo + 1}`
  return new HostError(
    'BAD_LINE',
    `line ${grouped(line)}: ${message}; ${written}: mend it and ${goOn}, or leave out what is refused with --skip-bad`,
    { details: { line, code, lastLine: writtenTo } },
  )
}

/** What is known of the lines when the host could not be asked, or did not answer. */
function brokenOff(error: HostError, batch: readonly Line[], { writtenTo }: Lines): HostError {
  const first = batch[0]?.number ?? writtenTo + 1
  const last = batch.at(-1)?.number ?? first
  const done = writtenTo === 0 ? '' : `everything up to line ${grouped(writtenTo)} is done; `
  // INTERNAL: the host failed at it, or what lies between answered in its place.
  if (error.code === 'ANSWER_LOST' || error.code === 'INTERNAL') {
    const doubtful =
      first === last ? `line ${grouped(first)}` : `lines ${grouped(first)} to ${grouped(last)}`
    return new HostError(
      error.code,
      `${error.message}. ${done}${doubtful}: all of them are written or none; nothing from line ${grouped(last + 1)} on was sent. ` +
        `If they are written go on with tail -n +${last + 1}, else with tail -n +${first}`,
      { cause: error, details: { firstLine: first, lastLine: last } },
    )
  }
  if (writtenTo === 0) return error
  return new HostError(
    error.code,
    `${error.message}; ${done}go on with tail -n +${writtenTo + 1}`,
    { cause: error, ...(error.details === undefined ? {} : { details: error.details }) },
  )
}

/** Positions of one partition only grow; of a stream that was made anew the earlier ones mean nothing. */
function merged(before: Token | undefined, token: Token): Token {
  if (before?.topicId !== token.topicId) return token
  return { ...token, offsets: new Map([...before.offsets, ...token.offsets]) }
}
