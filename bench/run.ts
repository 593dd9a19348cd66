// A run of the bench: some figures, one after another, on one log.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import type { Figure, Result } from './figure.js'
import { benchLog } from './log.js'
import { asJson, asTable } from './report.js'

export interface RunOptions {
  readonly only?: readonly string[]
  /** As `--log` of the command line. */
  readonly log: string
  readonly events: number
  readonly runs: number
  readonly json?: string
}

/** With the options that a run of these figures needs, but for the log. */
export function benchCommand(name: string, names: readonly string[]): Command {
  return new Command(name)
    .option('--only <name...>', `of ${names.join(', ')}`)
    .option('--events <n>', 'events to count', positive, 1_000_000)
    .option('--runs <n>', 'of each figure; the median counts', positive, 3)
    .option('--json <file>', 'write the JSON there, not after the table')
}

/** An error is printed, and fails the process. */
export async function orFail(run: () => Promise<void>): Promise<void> {
  try {
    await run()
  } catch (error) {
    console.error(error)
    process.exitCode = 1
  }
}

/** Measures, and prints what it found. */
export async function runFigures(figures: readonly Figure[], options: RunOptions): Promise<void> {
  const { only, events, runs, json } = options
  const unknown = only?.filter((name) => figures.every((figure) => figure.name !== name)) ?? []
  if (unknown.length > 0) throw new Error(`no such figure: ${unknown.join(', ')}`)
  const log = benchLog(options.log)
  const folder = await mkdtemp(join(tmpdir(), 'millrace-bench-'))
  const results: Result[] = []
  try {
    for (const figure of figures) {
      // Of the embedded log alone.
      if (figure.isEmbedded === true && log.brokers !== undefined) continue
      if (only !== undefined && !only.includes(figure.name)) continue
      const say = (message: string) => console.error(message)
      results.push(...(await figure.measure({ log, events, runs, folder, say })))
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  console.log(asTable(results))
  const text = JSON.stringify(asJson(results, { log: options.log, events, runs }), null, 2)
  if (json === undefined) console.log(text)
  else await writeFile(json, `${text}\n`)
}

export function positive(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) {
    throw new InvalidArgumentError('It has to be a whole number above 0.')
  }
  return value
}
