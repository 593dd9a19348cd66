// Whether a log still has what was read below a position: a leader that had less of it may have taken over, and written anew.
import { setTimeout as pause } from 'node:timers/promises'
import type { Log, PartitionInfo, Position } from './log.js'

/** At or below which records were lost, and who led last what is left. */
export interface Cut {
  readonly offset: number
  readonly leaderEpoch: number | undefined
}

/** As long as a broker of Kafka may not know yet that another one leads: `heardOf` tells why. */
const heardMs = 10_000
const stepMs = 100

/** Undefined: it has, as far as is known. `now`: the partition as it was described after the position was known. */
export async function whereCut(
  log: Log,
  { topic, partition, offset, leaderEpoch }: Position,
  now: PartitionInfo,
  signal: AbortSignal,
): Promise<Cut | undefined> {
  if (leaderEpoch === undefined || offset === 0) return undefined
  const since = performance.now()
  let { leaderEpoch: known, end } = now
  while (known < leaderEpoch) {
    // It never had that leader: an older copy of the log, or another one.
    if (performance.now() - since >= heardMs) {
      return { offset: Math.min(end, offset), leaderEpoch: undefined }
    }
    await pause(stepMs, undefined, { signal })
    const again = (await log.describe([topic])).get(topic)?.partitions[partition]
    if (again !== undefined) ({ leaderEpoch: known, end } = again)
  }
  const ended = await log.endOfEpoch({ topic, partition }, leaderEpoch)
  if (ended.leaderEpoch === leaderEpoch && ended.end >= offset) return undefined
  return {
    offset: Math.min(ended.end, offset),
    leaderEpoch: ended.leaderEpoch < 0 ? undefined : ended.leaderEpoch,
  }
}
