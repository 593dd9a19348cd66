// What the bench says at its end: a table for people, JSON for programs.
import { availableParallelism, cpus } from 'node:os'
import Table from 'cli-table3'
import { median, type Result, ratio, type Target } from './figure.js'

export function asTable(results: readonly Result[]): string {
  const hasTargets = results.some(({ target, peer }) => (target ?? peer?.target) !== undefined)
  const head = ['figure', 'median', 'least – most', 'peer in the same run', 'its median', 'ratio']
  const table = new Table({
    head: hasTargets ? [...head, 'target'] : head,
    colAligns: ['left', 'right', 'right', 'left', 'right', 'right', 'right'],
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
      ...(hasTargets ? [shownTarget(result)] : []),
    ])
  }
  return table.toString()
}

export function asJson(
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

function shownTarget(result: Result): string {
  const target = result.target ?? result.peer?.target
  if (target === undefined) return ''
  const found = result.target === undefined ? (ratio(result) ?? Number.NaN) : median(result.samples)
  return `${wordsOf(target)}, ${isMet(target, found) ? 'met' : 'missed'}`
}

function wordsOf(target: Target): string {
  return 'atLeast' in target ? `≥ ${target.atLeast}` : `≤ ${target.atMost}`
}

function isMet(target: Target, found: number): boolean {
  return 'atLeast' in target ? found >= target.atLeast : found <= target.atMost
}

function rounded(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(2)
}
