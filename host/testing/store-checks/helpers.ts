// What the checks of a store are made of.
import type { Change, Entry, PartitionMeta, TableStore } from '../../tables/store.js'

/** A place for one store that outlives the handles on it. One handle at a time. */
export interface StoreHome {
  open(): Promise<TableStore>
  /** It begins empty at each opening. */
  readonly isForgetful?: boolean
}

/** On a store of its own, which is empty and open; rejects with what is wrong. */
export interface TableStoreCheck {
  readonly title: string
  run(store: TableStore, home: StoreHome): Promise<void>
}

export const check = (title: string, run: TableStoreCheck['run']): TableStoreCheck => ({
  title,
  run,
})

export const metaAt = (next: number): PartitionMeta => ({
  layout: 2,
  changelog: { topic: 'clicks-table', topicId: 'a-topic', leaderEpoch: 3, next },
  appliedAt: 1_700_000_000_000 + next,
  inputs: [{ topic: 'clicks', topicId: 'another', offset: next * 2 }],
})

export const put = (key: string, value: string): Change => [Buffer.from(key), Buffer.from(value)]

export async function all(range: AsyncIterable<Entry[]>): Promise<Entry[]> {
  const entries: Entry[] = []
  for await (const page of range) entries.push(...page)
  return entries
}

/** Entries as text, bytes one to one. */
export const shown = (entries: readonly Entry[]): string[] =>
  entries.map(({ key, value }) => `${key.toString('latin1')}=${value.toString('latin1')}`)

/** Numbers below `limit`, the same for the same seed. */
export function numbers(seed: number): (limit: number) => number {
  let state = seed
  return (limit) => {
    state = (state * 1_103_515_245 + 12_345) % 0x80000000
    return Math.floor((state / 0x80000000) * limit)
  }
}
