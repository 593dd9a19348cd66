// A count by the real host, to be timed: events that lie in the log, then a host with a function that counts them, then its totals.
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from './client.js'
import { countByKey, type Event, makeEvents } from './events.js'
import type { BenchOptions } from './figure.js'
import { startHostProcess } from './host-process.js'
import { residentMb } from './memory.js'
import { feederFunction, firstRecord, makeProject } from './project.js'

export interface CountInput {
  readonly keys: number
  /** Hosts with the same one have the same streams. */
  readonly scope: string
  /** A data folder in which the events lie; copied for each run. */
  readonly data: string
  readonly lastToken: string
  readonly counts: ReadonlyMap<string, number>
}

/** Times of `performance.now()`. */
export interface CountRun {
  readonly spawnedAt: number
  readonly listeningAt: number
  /** When the handler got the first record, of a function that tells it. */
  readonly firstAt: number | undefined
  /** When the view had all. */
  readonly reflectedAt: number
  readonly rssMb: number
}

export async function loadEvents(options: BenchOptions, keys: number): Promise<CountInput> {
  const { log, events, folder, say } = options
  say(`count: loading ${events} events of ${keys} keys`)
  const root = await makeProject(join(folder, `load-${keys}`), { feeder: feederFunction })
  const data = join(folder, `loaded-${keys}`)
  const scope = `count-${keys}`
  await using host = await startHostProcess({ root, data, env: log.env(scope) })
  using client = new Client(host.url)
  // Its lines lie in all partitions.
  const tokens = await client.emitLines('clicks', asLines(makeEvents(events, keys)))
  const counts = countByKey(makeEvents(events, keys))
  return { keys, scope, data, lastToken: tokens.at(-1) ?? '', counts }
}

function* asLines(events: Iterable<Event>): Generator<string> {
  for (const { key, value } of events) yield `{"key":"${key}","value":${value}}`
}

/** `text` is of the function `name`, which has not counted these events yet. */
export async function countWithHost(
  { log, folder }: BenchOptions,
  input: CountInput,
  { name, text }: { name: string; text: string },
): Promise<CountRun> {
  const root = join(folder, 'counting')
  await rm(root, { recursive: true, force: true })
  await makeProject(root, { [name]: text })
  const data = join(folder, 'counting-data')
  await rm(data, { recursive: true, force: true })
  await cp(input.data, data, { recursive: true })
  await using host = await startHostProcess({ root, data, env: log.env(input.scope) })
  using client = new Client(host.url)
  await client.reflects(name, input.lastToken)
  const reflectedAt = performance.now()
  const rssMb = await residentMb(host.pid)
  const table = await client.table<{ count: number }>(name)
  assertCounts(new Map([...table].map(([key, { count }]) => [key, count])), input.counts)
  const { spawnedAt, listeningAt, said } = host
  return { spawnedAt, listeningAt, firstAt: findFirst(said), reflectedAt, rssMb }
}

function findFirst(said: readonly string[]): number | undefined {
  const line = said.find((each) => each.includes(firstRecord))
  const at = /\bat\W+(\d{13})\b/.exec(line ?? '')?.[1]
  return at === undefined ? undefined : Number(at) - performance.timeOrigin
}

export function assertCounts(
  found: ReadonlyMap<string, number>,
  right: ReadonlyMap<string, number>,
): void {
  if (found.size !== right.size) {
    throw new Error(`the table has ${found.size} keys, not ${right.size}`)
  }
  for (const [key, count] of right) {
    const value = found.get(key)
    if (value !== count) throw new Error(`${key} was counted ${value} times, not ${count}`)
  }
}
