// `npm run bench`: measures the real host as a child process, by its command line and HTTP alone. A wrong total fails it.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import Table from 'cli-table3'
import { Command, InvalidArgumentError } from 'commander'
import { concurrent } from './concurrency.js'
import { count } from './count.js'
import { emits } from './emits.js'
import { median, type Result, ratio } from './figure.js'
import { latency } from './latency.js'
import { benchLog } from './log.js'
import { reads } from './reads.js'
import { recovery } from './recovery.js'
import { restart } from './restart.js'
import { swap } from './swap.js'
import { testkit } from './testkit.js'
import { upkeep } from './upkeep.js'
import { values } from './values.js'

const figures = [
  count,
  emits,
  latency,
  reads,
  swap,
  recovery,
  restart,
  concurrent,
  values,
  testkit,
  upkeep,
]

interface Options {
  readonly only?: readonly string[]
  readonly log: string
  readonly events: number
  readonly runs: number
  readonly json?: string
}

const command = new Command('bench')
  .option('--only <name...>', `of ${figures.map(({ name }) => name).join(', ')}`)
  .option(
    '--log <log>',
    'embedded, or kafka://host:port[,host:port] of a Kafka that runs',
    'embedded',
  )
  .option('--events <n>', 'events to count', positive, 1_000_000)
  .option('--runs <n>', 'of each figure; the median counts', positive, 3)
  .option('--json <file>', 'write the JSON there, not after the table')
  .parse()

const failed = await bench(command.opts<Options>()).then(
  () => false,
  (error: unknown) => {
    console.error(error)
    return true
  },
)
if (failed) process.exitCode = 1

async function bench({ only, log: given, events, runs, json }: Options): Promise<void> {
  const unknown = only?.filter((name) => figures.every((figure) => figure.name !== name)) ?? []
  if (unknown.length > 0) throw new Error(`no such figure: ${unknown.join(', ')}`)
  const log = benchLog(given)
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
  const text = JSON.stringify(asJson(results, { log: given, events, runs }), null, 2)
  if (json === undefined) console.log(text)
  else await writeFile(json, `${text}\n`)
}

function asTable(results: readonly Result[]): string {
  const table = new Table({
    head: ['figure', 'median', 'least – most', 'peer in the same run', 'its median', 'ratio'],
    colAligns: ['left', 'right', 'right', 'left', 'right', 'right'],
    style: { head: [], border: [], compact: true },
  })
  for (const result of results) {
    const { name, unit, samples, peer } = result
    table.push([
      name,
      `${rounded(median(samples))} ${unit}`,
      `${rounded(Math.min(...samples))} – ${rounded(Math.max(...samples))}`,
      peer?.name ?? '',
      peer === undefined ? '' : rounded(median(peer.samples)),
      ratio(result)?.toFixed(2) ?? '',
    ])
  }
  return table.toString()
}

function asJson(
  results: readonly Result[],
  options: { log: string; events: number; runs: number },
): object {
  return {
    at: new Date().toISOString(),
    node: process.version,
    cpu: cpus()[0]?.model,
    cores: availableParallelism(),
    ...options,
    figures: results.map((result) => ({
      ...result,
      median: median(result.samples),
      ...(result.peer === undefined
        ? {}
        : { peerMedian: median(result.peer.samples), ratio: ratio(result) }),
    })),
  }
}

function rounded(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(2)
}

function positive(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) {
    throw new InvalidArgumentError('It has to be a whole number above 0.')
  }
  return value
}
