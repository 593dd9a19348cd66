// What a Goka processor leaves in the log: an input placed by FNV-1a, a table and a loop of int64 as decimal text, committed positions.
import type { Position, RecordToAppend, TopicSpec } from '#host/log/log.js'
import type { HostUnderTest } from './host.js'
import { until } from './until.js'

export const partitions = 10

/** Where Goka's producers put these keys of 10 partitions: not computed here. */
export const placed = {
  key1: 3,
  key2: 2,
  'some-key': 7,
  'user-3': 8,
  '0': 3,
  '02': 3,
  // A Goka view does not find it: its hash has no positive counterpart.
  'key-4393643603': 8,
} as const

type Key = keyof typeof placed
const keys = Object.keys(placed) as Key[]

export interface GokaNames {
  readonly group: string
  readonly clicks: string
  readonly totals: string
}

export interface Layout {
  readonly topics: readonly TopicSpec[]
  /** In the order in which they lie in their partitions. */
  readonly records: readonly RecordToAppend[]
  readonly positions: readonly Position[]
}

/** Beyond what a JSON number holds exactly. */
const large = 9_007_199_254_740_993n
const handled = 5
const waiting = 3

/** What the table has when Goka stops, and what it has to have when all that waits is handled. */
export const totalOf = (key: string, isAllHandled = true): bigint =>
  (key === 'user-3' ? large : 0n) +
  BigInt(isAllHandled ? handled + waiting : handled) +
  (key === 'key1' ? (isAllHandled ? 30n : 20n) : 0n)

/**
 * Each key clicked eight times, of which Goka has counted five; three loop messages of 10 to `key1`, of which it has handled two. The
 * table's topic has each value that it ever had, as before a compaction.
 */
export function layoutOf({ group, clicks }: GokaNames): Layout {
  const record = (topic: string, key: Key, value: string): RecordToAppend => ({
    topic,
    partition: placed[key],
    key: Buffer.from(key),
    value: Buffer.from(value),
    timestamp: 1_700_000_000_000,
  })
  const rounds = (count: number, of: (key: Key, round: number) => RecordToAppend) =>
    Array.from({ length: count }, (_, round) => keys.map((key) => of(key, round))).flat()
  const table = `${group}-table`
  const loop = `${group}-loop`
  const used = [...new Set(Object.values(placed))]
  const spec = (name: string, kind: TopicSpec['kind']): TopicSpec => ({ name, kind, partitions })
  return {
    topics: [spec(clicks, 'stream'), spec(table, 'table'), spec(loop, 'stream')],
    records: [
      ...rounds(handled + waiting, (key) => record(clicks, key, 'click')),
      ...rounds(handled, (key, round) => record(table, key, String(round + 1))),
      ...keys.map((key) => record(table, key, String(totalOf(key, false)))),
      ...['10', '10', '10'].map((value) => record(loop, 'key1', value)),
    ],
    positions: [
      ...used.map((partition) => {
        const there = keys.filter((key) => placed[key] === partition).length
        return { topic: clicks, partition, offset: there * handled }
      }),
      { topic: loop, partition: placed.key1, offset: 2 },
    ],
  }
}

/** Counts clicks as the processor did; a click on another key sends it a loop message of 100. */
export const counterSource = ({ group, clicks, totals }: GokaNames, isNamed = true): string => `
import { defineProcessor, int64, string, topic } from 'millrace'
export default defineProcessor({
  group: '${group}',
  ${isNamed ? `tableTopic: '${group}-table', loopTopic: '${group}-loop',` : ''}
  hasher: 'fnv1a',
  inputs: { clicks: topic('${clicks}', string) },
  table: int64,
  loop: int64,
  outputs: { totals: topic('${totals}', int64) },
  on: {
    clicks(ctx, other) {
      const total = (ctx.get() ?? 0n) + 1n
      ctx.set(total)
      ctx.emit('totals', ctx.key, total)
      if (other !== 'click') ctx.loopback(other, 100)
    },
  },
  onLoop: (ctx, n) => ctx.set((ctx.get() ?? 0n) + n),
})`

/** As text: JSON numbers would be rounded. */
export async function totalsIn(
  host: HostUnderTest,
  table: string,
): Promise<Record<string, bigint>> {
  const found = await Promise.all(
    keys.map(async (key): Promise<[string, bigint]> => {
      const response = await fetch(`${host.host.url}/views/${table}/${key}`)
      const text = await response.text()
      if (response.status !== 200) throw new Error(`${key}: ${response.status} ${text}`)
      return [key, BigInt(text)]
    }),
  )
  return Object.fromEntries(found)
}

export const expectedTotals = (more: Partial<Record<Key, bigint>> = {}): Record<string, bigint> =>
  Object.fromEntries(keys.map((key) => [key, totalOf(key) + (more[key] ?? 0n)]))

export const handledAll = (host: HostUnderTest, name: string) =>
  until(`${name} has handled all`, async () => {
    const status = await host.status(name)
    return (
      status?.state === 'running' && status.partitions.length === partitions && status.lag === 0
    )
  })

/** What a loop message has yet to do is in no lag while it is on its way. */
export const looped = (host: HostUnderTest, table: string, key: Key, total: bigint | undefined) =>
  until(`${key} is ${total}`, async () => (await totalsIn(host, table))[key] === total)

/** Emits over HTTP: a click of each key, at the partition where Goka would put it. */
export async function clickAll(host: HostUnderTest): Promise<Record<string, unknown>> {
  const found = await Promise.all(
    keys.map(async (key): Promise<[string, unknown]> => {
      const url = `${host.host.url}/emitters/clicks/${key}`
      const response = await fetch(url, { method: 'POST', body: 'click' })
      return [key, Object(await response.json()).partition]
    }),
  )
  return Object.fromEntries(found)
}
