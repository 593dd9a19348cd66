// The command `visit`: has a function call one of its visitors for every key of its table, and says how far it came.
import type { IncomingMessage } from 'node:http'
import type { Command } from 'commander'
import { HostError, isErrorCode } from '../errors.js'
import { LineSplitter } from '../line-splitter.js'
import { isObject } from '../object.js'
import type { VisitCounts } from '../processor/visit.js'
import type { VisitProgress, VisitReport } from '../processor/visiting.js'
import { onStopSignals, signalExitCode } from '../signals.js'
import { exitCodes, Interrupted } from './exit.js'
import { type HostFlags, hostClient, hostOptions } from './option.js'
import { grouped, writeJson, writeText } from './output.js'
import { ProgressLine } from './progress-line.js'

export function addVisit(program: Command, ended: (code: number) => void): void {
  const command = program
    .command('visit')
    .description("call a function's visitor once for every key of its table")
    .argument('<function>')
    .argument('<visitor>')
    .argument('[argument]', 'JSON, given to each visit')
  hostOptions(command)
    .addHelpText(
      'after',
      `
Every key that the table holds when the visit begins has its turn, among the records that come meanwhile. Keys that are deleted before their turn,
and keys that come meanwhile, have none. The visit ends with this command: after Ctrl-C no further key is visited, and what was done stays.

Example:
  $ millrace visit carts abandon '{"before":1735689600000}'`,
    )
    .action(
      async (name: string, visitor: string, argument: string | undefined, flags: HostFlags) => {
        const report = await visit(name, visitor, argument, flags)
        if (flags.json) writeJson(report)
        else writeText(`${inWords(report)}; partitions ${report.partitions.join(', ') || 'none'}`)
        ended(report.failed > 0 ? exitCodes.refused : exitCodes.done)
      },
    )
}

interface Reported extends VisitReport {
  readonly function: string
  readonly visitor: string
}

async function visit(
  name: string,
  visitor: string,
  argument: string | undefined,
  flags: HostFlags,
): Promise<Reported> {
  const stop = new AbortController()
  onStopSignals(['SIGINT', 'SIGTERM'], {
    first: () => stop.abort(),
    second: (signal) => process.exit(signalExitCode(signal)),
  })
  using client = hostClient(flags, stop.signal)
  let last: VisitProgress | undefined
  try {
    const answer = await client.open({
      method: 'POST',
      path: `/functions/${encodeURIComponent(name)}/visit/${encodeURIComponent(visitor)}`,
      headers: { accept: 'application/x-ndjson' },
      ...(argument === undefined ? {} : { body: argument }),
    })
    return await followed(answer, flags, (progress) => {
      last = progress
    })
  } catch (error) {
    if (!stop.signal.aborted) throw error instanceof HostError ? error : broken(name, last, error)
    process.stderr.write(`interrupted: ${soFar(last)}\n`)
    throw new Interrupted()
  }
}

/** To its last line. */
async function followed(
  answer: IncomingMessage,
  flags: HostFlags,
  told: (progress: VisitProgress) => void,
): Promise<Reported> {
  const isShown = !flags.json && process.stderr.isTTY
  const unit = ['key', 'keys'] as const
  let progress: ProgressLine | undefined
  let total: number | null = null
  try {
    for await (const line of lines(answer)) {
      if ('error' in line) throw refusal(line.error)
      if ('done' in line) return line.done
      told(line)
      // How many there are is known a moment later.
      if (progress === undefined || line.total !== total) {
        progress?.end()
        progress = new ProgressLine({ total: line.total ?? undefined, unit, isShown })
      }
      total = line.total
      const done = line.visited + line.failed + line.vanished
      progress.moved(done, done)
    }
  } finally {
    progress?.end()
  }
  throw new Error('the answer ended before the visit')
}

type Line = VisitProgress | { readonly error: unknown } | { readonly done: Reported }

async function* lines(answer: AsyncIterable<Buffer>): AsyncGenerator<Line> {
  const splitter = new LineSplitter()
  for await (const chunk of answer) {
    for (const line of splitter.push(chunk)) yield JSON.parse(line.toString())
  }
}

function refusal(error: unknown): HostError {
  const { code, message, details } = isObject(error) ? error : {}
  return new HostError(isErrorCode(code) ? code : 'INTERNAL', String(message), { details })
}

function broken(name: string, last: VisitProgress | undefined, cause: unknown): HostError {
  return new HostError(
    'ANSWER_LOST',
    `the connection broke before the visit of ${name} had ended, and the host ends it with that: ${soFar(last)}`,
    { cause, ...(last === undefined ? {} : { details: last }) },
  )
}

const soFar = (last: VisitProgress | undefined): string =>
  last === undefined ? 'nothing is known to have been visited' : `at least ${inWords(last)}`

function inWords({ visited, failed, vanished }: VisitCounts): string {
  return [
    `${grouped(visited)} ${visited === 1 ? 'key' : 'keys'} visited`,
    ...(failed === 0 ? [] : [`${grouped(failed)} given up`]),
    ...(vanished === 0 ? [] : [`${grouped(vanished)} gone meanwhile`]),
  ].join(', ')
}
