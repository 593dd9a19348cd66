// The command `emit`: one record from the arguments, or a record a line from a file or standard input.
import { accessSync, constants, createReadStream, statSync } from 'node:fs'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { onStopSignals, signalExitCode } from '../signals.js'
import type { HostClient } from './client.js'
import { emitLines, type LineProblem, type Lines } from './emit-lines.js'
import { exitCodes, Interrupted } from './exit.js'
import { count, type HostFlags, hostClient, hostOptions, several } from './option.js'
import { grouped, writeJson, writeText } from './output.js'
import { ProgressLine } from './progress-line.js'

interface EmitFlags extends HostFlags {
  readonly delete?: boolean
  readonly header?: readonly string[]
  readonly timestamp?: number
  readonly file?: string
  readonly skipBad?: boolean
}

export function addEmit(program: Command, ended: (code: number) => void): void {
  const command = program
    .command('emit')
    .description('emit one record, or a line of NDJSON each: { "key", "value" }')
    .argument('<stream>')
    .argument('[key]')
    .argument('[value]', 'sent as it is: JSON, or text for a stream of strings')
    .addOption(new Option('--delete', 'emit a tombstone: a record without a value'))
    .option('--header <name=value>', 'of the record; may be given again', header)
    .option('--timestamp <ms>', 'of the record, in ms since 1970; else now', count)
    .option('--file <file>', 'NDJSON from this file, not from standard input', file)
    .option('--skip-bad', 'leave out lines that are refused, instead of stopping there')
  hostOptions(command)
    .addHelpText(
      'after',
      `
Lines are sent in batches of up to 1,000 lines or 1 MiB. Each batch is written wholly or not at all, one after another, in order; all batches
together are not one unit. A refused line is named by its number; what was written before it is said, and stays. A batch whose answer is lost
may have been written: it is not sent again.

Examples:
  $ millrace emit clicks alice '{"page":"/home"}'
  $ millrace emit clicks alice --delete
  $ millrace emit clicks --file clicks.ndjson
  $ tail -f clicks.ndjson | millrace emit clicks --skip-bad --json`,
    )
    .action(
      async (
        stream: string,
        key: string | undefined,
        value: string | undefined,
        flags: EmitFlags,
      ) => {
        const misuse = misuseOf(key, value, flags)
        if (misuse !== undefined) command.error(`error: ${misuse}`)
        if (key === undefined) {
          ended(await emitMany(stream, flags))
          return
        }
        using client = hostClient(flags)
        await emitOne(client, stream, key, value, flags)
      },
    )
}

function misuseOf(
  key: string | undefined,
  value: string | undefined,
  flags: EmitFlags,
): string | undefined {
  if (key !== undefined) {
    if (flags.file !== undefined || flags.skipBad) return '--file and --skip-bad are for lines'
    if (flags.delete) return value === undefined ? undefined : 'with --delete there is no value'
    return value === undefined ? 'the value is missing (or --delete)' : undefined
  }
  if (flags.delete || flags.header || flags.timestamp !== undefined) {
    return '--delete, --header and --timestamp need a key: in lines they are fields of each line'
  }
  if (flags.file === undefined && process.stdin.isTTY) {
    return 'give a key and a value, a --file, or lines on standard input'
  }
  return undefined
}

async function emitOne(
  client: HostClient,
  stream: string,
  key: string,
  value: string | undefined,
  flags: EmitFlags,
): Promise<void> {
  const emitted = await client.json<{ partition: number; offset: number; token: string }>({
    method: value === undefined ? 'DELETE' : 'POST',
    path: `/emitters/${encodeURIComponent(stream)}/${encodeURIComponent(key)}`,
    headers: {
      ...headersOf(flags.header ?? []),
      ...(flags.timestamp === undefined ? {} : { 'millrace-timestamp': String(flags.timestamp) }),
      // As text: a stream of strings takes it as it is, every other reads it as JSON.
      ...(value === undefined ? {} : { 'content-type': 'text/plain; charset=utf-8' }),
    },
    ...(value === undefined ? {} : { body: value }),
  })
  if (flags.json) writeJson(emitted)
  else {
    const { partition, offset, token } = emitted
    writeText(`${stream}: partition ${partition}, offset ${offset}\ntoken ${token}`)
  }
}

function headersOf(given: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    given.map((text) => {
      const at = text.indexOf('=')
      // HTTP has bytes here, and Node writes latin1.
      const value = Buffer.from(text.slice(at + 1)).toString('latin1')
      return [`millrace-header-${text.slice(0, at)}`, value]
    }),
  )
}

async function emitMany(stream: string, flags: EmitFlags): Promise<number> {
  const stop = new AbortController()
  onStopSignals(['SIGINT', 'SIGTERM'], {
    first: () => stop.abort(),
    second: (signal) => process.exit(signalExitCode(signal)),
  })
  using client = hostClient(flags)
  const { file } = flags
  const source =
    file === undefined ? process.stdin : createReadStream(file, { highWaterMark: 1024 * 1024 })
  const found = file === undefined ? undefined : statSync(file)
  const total = found?.isFile() ? found.size : undefined
  const progress = new ProgressLine({ total, isShown: !flags.json && process.stderr.isTTY })
  const refused = ({ line, code, message }: LineProblem) => {
    progress.print(
      flags.json
        ? JSON.stringify({ error: { code, message, details: { line } } })
        : `millrace: ${code}: line ${grouped(line)}: ${message}`,
    )
  }
  const lines: Lines = {
    acknowledged: 0,
    refused: 0,
    writtenTo: 0,
    writtenBytes: 0,
    token: undefined,
  }
  try {
    await emitLines({
      client,
      stream,
      source,
      isSkipping: flags.skipBad ?? false,
      lines,
      refused,
      moved: () => progress.moved(lines.writtenBytes, lines.acknowledged),
      signal: stop.signal,
    })
  } finally {
    progress.end()
    summarise(lines, flags.json ?? false, stop.signal.aborted)
  }
  if (stop.signal.aborted) throw new Interrupted()
  return lines.refused > 0 ? exitCodes.refused : exitCodes.done
}

function header(value: string, before?: readonly string[]): string[] {
  if (value.indexOf('=') < 1) throw new InvalidArgumentError('NAME=VALUE is wanted.')
  return several(value, before)
}

/** A pipe is one, too. */
function file(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) throw new InvalidArgumentError('There is no such file.')
  if (found.isDirectory()) throw new InvalidArgumentError('It is a folder.')
  try {
    accessSync(path, constants.R_OK)
  } catch {
    throw new InvalidArgumentError('It may not be read.')
  }
  return path
}

function summarise(lines: Lines, isJson: boolean, isInterrupted: boolean): void {
  const { acknowledged, refused, writtenTo, token = null } = lines
  if (isJson) {
    writeJson({ count: acknowledged, refused, lastLine: writtenTo, token })
    return
  }
  const stopped = isInterrupted
    ? `interrupted: everything up to line ${grouped(writtenTo)} is done; `
    : ''
  const also = refused === 0 ? '' : `, ${grouped(refused)} refused`
  const what = acknowledged === 1 ? 'line' : 'lines'
  writeText(`${stopped}${grouped(acknowledged)} ${what} acknowledged${also}`)
  if (token !== null) writeText(`token ${token}`)
}
