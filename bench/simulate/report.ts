// The simulation's tables, in the form that docs/scaling.md has them.
import type { Costs } from './costs.js'
import { type Limits, limitsOf } from './limits.js'
import { type Outcome, outcomes } from './scenarios.js'

/** The same seed gives the same. */
export function report(costs: Costs, seed: number, of?: { readonly isLong?: boolean }): string {
  const standbys = [0, 1, 2].filter((count) => count < costs.instances)
  const limits = new Map(standbys.map((count) => [count, limitsOf(costs, count)]))
  return `${outcomeTable(outcomes(costs, seed, of))}\n${limitTable(costs, limits)}`
}

export function outcomeTable(outcomes: readonly Outcome[]): string {
  return table(
    [
      'event',
      'standbys',
      'partitions that move',
      'replayed',
      'not served, p50 / most',
      'all served after',
      'all warm after',
      'most on one disk',
    ],
    outcomes.map((of) => [
      of.name,
      String(of.standbys),
      of.moved.toLocaleString('en'),
      bytes(of.replayedBytes),
      `${duration(of.outageMs.p50)} / ${duration(of.outageMs.most)}`,
      duration(of.servedMs),
      of.standbys === 0 ? '–' : duration(of.warmMs),
      bytes(of.mostDiskBytes),
    ]),
  )
}

export function limitTable(costs: Costs, by: ReadonlyMap<number, Limits>): string {
  const each = `each ${costs.flushIntervalMs} ms`
  const underLoad = `each ${costs.flushMaxIntervalMs} ms, under load`
  const rows: Record<string, (of: Limits) => string> = {
    [`transactions a second, ${each}`]: (of) => number(of.transactionsPerSecond.atFlushInterval),
    [`and ${underLoad}`]: (of) => number(of.transactionsPerSecond.underLoad),
    'shortest flush interval that the brokers allow': (of) => duration(of.leastFlushIntervalMs),
    'the group’s record at its coordinator': (of) => bytes(of.groupRecordBytes),
    'of what a record may have by default': (of) =>
      (of.groupRecordBytes / costs.brokerMaxMessageBytes).toFixed(2),
    'JoinGroup’s answer to the leader / its SyncGroup': (of) =>
      `${bytes(of.joinGroupBytes)} / ${bytes(of.syncGroupBytes)}`,
    'connections of a broker': (of) => number(of.connectionsPerBroker),
    'transactional ids': (of) => number(of.transactionalIds),
    'partitions of topics, before they are replicated': (of) => number(of.topicPartitions),
    'memory of an instance': (of) => bytes(of.instanceMemoryBytes),
    'disk of an instance': (of) => bytes(of.instanceDiskBytes),
    'read by an instance for its warm copies': (of) => `${bytes(of.standbyBytesPerSecond)}/s`,
  }
  return table(
    ['', ...[...by.keys()].map((count) => `standbys: ${count}`)],
    Object.entries(rows).map(([name, shown]) => [name, ...[...by.values()].map(shown)]),
  )
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => '---'), ...rows]
  return lines.map((cells) => `| ${cells.join(' | ')} |\n`).join('')
}

const number = (value: number): string => Math.round(value).toLocaleString('en')

export function bytes(value: number): string {
  for (const [unit, size] of units) if (value >= size) return `${digits(value / size)} ${unit}`
  return `${Math.round(value)} B`
}

export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 120_000) return `${digits(ms / 1_000)} s`
  return ms < 7_200_000 ? `${digits(ms / 60_000)} min` : `${digits(ms / 3_600_000)} h`
}

const units: readonly (readonly [string, number])[] = [
  ['TB', 1e12],
  ['GB', 1e9],
  ['MB', 1e6],
  ['kB', 1e3],
]

const digits = (value: number): string =>
  value >= 10 ? Math.round(value).toLocaleString('en') : value.toFixed(1)
