// What a run says at its end.
import Table from 'cli-table3'
import type { Account } from './account.js'
import { type Done, type Gap, quantiles, standstills } from './progress.js'

export interface Outcome {
  readonly seed: number
  readonly minutes: number
  readonly delivery: string
  readonly network: string
  readonly account: Account
  readonly done: readonly Done[]
  readonly gaps: readonly Gap[]
  readonly rebalances: number
  readonly reads: number
  readonly plainReads: number
  readonly unanswered: ReadonlyMap<string, number>
  readonly tokens: number
  readonly findings: readonly string[]
}

const seconds = (ms: number): string => (ms / 1000).toFixed(1)

export function report(outcome: Outcome): string {
  return [figures(outcome), standing(outcome)].join('\n')
}

function figures(outcome: Outcome): string {
  const { account } = outcome
  const table = new Table({
    style: { head: [], border: [], compact: true },
    colAligns: ['left', 'right'],
    // Lists of what was answered are long: a terminal is 80 to 120 wide.
    colWidths: [38, 62],
    wordWrap: true,
  })
  table.push(
    ['minutes', String(outcome.minutes)],
    ['seed', String(outcome.seed)],
    ['delivery', outcome.delivery],
    ['network', outcome.network],
    ['faults', String(outcome.done.length)],
    ['rebalances, of all groups', String(outcome.rebalances)],
    ['events acknowledged', String(account.count('acknowledged'))],
    ['events refused for good', String(account.count('refused'))],
    ['events of unknown outcome', String(account.count('unknown'))],
    ['refusals, most of them made up for', counts(account.refusals)],
    ['tokens reflected at the end', String(outcome.tokens)],
    ['reads that waited for an event', String(outcome.reads)],
    ['reads that waited for nothing', String(outcome.plainReads)],
    ['reads that no host answered', counts(outcome.unanswered)],
    ['findings', String(outcome.findings.length)],
  )
  return table.toString()
}

function counts(by: ReadonlyMap<string, number>): string {
  const all = [...by].sort(([, a], [, b]) => b - a)
  if (all.length === 0) return '0'
  return all.map(([code, count]) => `${count} ${code}`).join(', ')
}

/** How long a partition stood still at most, by what befell the hosts. */
function standing({ done, gaps }: Outcome): string {
  const table = new Table({
    head: ['fault', 'times', 'no progress: p50', 'p99', 'max'],
    colAligns: ['left', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [], compact: true },
  })
  const all = standstills(done, gaps)
  for (const { kind, longestMs } of all.sort((a, b) => (a.kind < b.kind ? -1 : 1))) {
    const [p50, p99, max] = quantiles(longestMs).map((ms) => `${seconds(ms)} s`)
    table.push([kind, String(longestMs.length), p50 ?? '', p99 ?? '', max ?? ''])
  }
  return table.toString()
}
