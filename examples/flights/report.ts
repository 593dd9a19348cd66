// The worst of a table of delays, as a table for people.
import Table from 'cli-table3'
import type { Delays } from './client.js'

export interface ReportOptions {
  readonly title: string
  /** One late flight alone makes no bad airport. */
  readonly minFlights: number
  nameOf(key: string): string
}

export function worst(delays: ReadonlyMap<string, Delays>, options: ReportOptions): string {
  const rows = [...delays]
    .filter(([, { flights }]) => flights >= options.minFlights)
    .sort(([, a], [, b]) => b.meanDelay - a.meanDelay)
    .slice(0, 10)
  const table = new Table({
    head: [options.title, '', 'flights', 'mean delay', 'worst', '≥ 15 min late'],
    colAligns: ['left', 'left', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [], compact: true },
  })
  for (const [key, { flights, meanDelay, worstDelay, lateShare }] of rows) {
    const [mean, share] = [meanDelay.toFixed(1), (100 * lateShare).toFixed(0)]
    table.push([
      key,
      options.nameOf(key),
      flights,
      `${mean} min`,
      `${worstDelay} min`,
      `${share} %`,
    ])
  }
  return table.toString()
}
