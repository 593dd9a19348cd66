// How long the target is to keep each stream once everything is there.
import type { Inventory } from './inventory.js'
import type { BegunTopic, Retentions, StreamRetention } from './journal.js'
import type { Scans } from './scan.js'

/** As they are configured to be; but what was not read yet is to be there when it is. */
export function retentions(
  { topics, positions }: Inventory,
  scans: Scans,
  begun: ReadonlyMap<string, BegunTopic>,
  byDefault: number,
): Retentions {
  const kept: StreamRetention[] = []
  const unread: StreamRetention[] = []
  for (const { name, kind, retentionMs = byDefault } of topics) {
    if (kind !== 'stream' || begun.get(name)?.isMade !== true || retentionMs < 0) continue
    const read = positions.filter(({ topic }) => topic === name)
    const isUnread = (group: string): boolean =>
      (scans.get(name) ?? []).some(({ lastOld }, partition) => {
        const at = read.find((one) => one.group === group && one.partition === partition)
        return lastOld >= (at?.offset ?? 0)
      })
    const groups = [...new Set(read.map(({ group }) => group))]
    const list = groups.some(isUnread) ? unread : kept
    list.push({ name, retentionMs })
  }
  return { kept, unread }
}
