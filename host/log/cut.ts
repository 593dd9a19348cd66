// Whether a log still has what was read below a position: a leader that had less of it may have taken over, and written anew.
import { HostError } from '../errors.js'
import { type Log, type PartitionInfo, type Position, partitionKey } from './log.js'

/** At or below which records were lost, and who led last what is left. */
export interface Cut {
  readonly offset: number
  readonly leaderEpoch: number | undefined
}

/**
 * Undefined: it has, as far as is known. `now`: the partition as it was described after the position was known. Throws LOG_FAILED if
 * that is older than the position: by a broker that does not know yet that another one leads.
 */
export async function whereCut(
  log: Log,
  { topic, partition, offset, leaderEpoch }: Position,
  now: PartitionInfo,
): Promise<Cut | undefined> {
  if (leaderEpoch === undefined || offset === 0) return undefined
  if (now.leaderEpoch < leaderEpoch) {
    throw new HostError(
      'LOG_FAILED',
      `${partitionKey(topic, partition)} is described by a broker that knows an older leader (epoch ${now.leaderEpoch}, not ${leaderEpoch}): it is asked again`,
      { stream: topic, partition },
    )
  }
  const ended = await log.endOfEpoch({ topic, partition }, leaderEpoch)
  if (ended.leaderEpoch === leaderEpoch && ended.end >= offset) return undefined
  return {
    offset: Math.min(ended.end, offset),
    leaderEpoch: ended.leaderEpoch < 0 ? undefined : ended.leaderEpoch,
  }
}
