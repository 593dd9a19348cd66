// Whether a log still has what was read below a position: a leader that had less of it may have taken over, and written anew.
import { setTimeout as pause } from 'node:timers/promises'
import { HostError } from '../errors.js'
import type { Log, PartitionInfo, Position, TopicInfo } from './log.js'

/** At or below which records were lost, and who led last what is left. */
export interface Cut {
  readonly offset: number
  readonly leaderEpoch: number | undefined
}

export interface Looked {
  /** As it was described last: by a leader no older than the position's, unless the log never had that one. */
  readonly now: PartitionInfo
  /** Absent: it has, as far as is known. */
  readonly cut?: Cut
}

/** As long as a broker of Kafka may not know yet that another one leads: `heardOf` tells why. */
const heardMs = 10_000
const stepMs = 100

/**
 * `topic`: as it was described after the position was known. Its ends may be those of a leader that leads no more, or had not heard of
 * the position's: what the position says of them is to be judged by `now` alone.
 */
export async function whereCut(
  log: Log,
  { offset, leaderEpoch }: Position,
  topic: TopicInfo,
  described: PartitionInfo,
  signal: AbortSignal,
): Promise<Looked> {
  if (leaderEpoch === undefined) return { now: described }
  const now = await describedIn(log, leaderEpoch, topic, described, signal)
  if (offset === 0) return { now }
  if (now.leaderEpoch < leaderEpoch) {
    // It never had that leader: an older copy of the log, or another one.
    return { now, cut: { offset: Math.min(now.end, offset), leaderEpoch: undefined } }
  }
  // Nobody has led after it, and whoever leads has all that there was of its own: nothing has to be asked.
  if (now.leaderEpoch === leaderEpoch && offset <= now.end) return { now }
  const ended = await log.endOfEpoch({ topic: topic.name, partition: now.partition }, leaderEpoch)
  if (ended.leaderEpoch === leaderEpoch && ended.end >= offset) return { now }
  return {
    now,
    cut: {
      offset: Math.min(ended.end, offset),
      leaderEpoch: ended.leaderEpoch < 0 ? undefined : ended.leaderEpoch,
    },
  }
}

/** By a leader of this epoch, or a later one; by another only if none is heard of for a while. */
async function describedIn(
  log: Log,
  leaderEpoch: number,
  { name, id }: TopicInfo,
  described: PartitionInfo,
  signal: AbortSignal,
): Promise<PartitionInfo> {
  const knownEpoch = { topicId: id, partition: described.partition, leaderEpoch }
  const since = performance.now()
  let now = described
  for (let isLast = false; now.leaderEpoch < leaderEpoch && !isLast; ) {
    await pause(stepMs, undefined, { signal })
    // An answer that was on its way for long, as when this process was frozen, tells of no more than a quick one.
    isLast = performance.now() - since >= heardMs
    const options = { endsOf: [described.partition], knownEpoch }
    const again = (await log.describe([name], options)).get(name)
    if (again === undefined) continue
    if (again.id !== id) {
      throw new HostError('LOG_FAILED', `${name} was made anew while it was looked at: once more`)
    }
    now = again.partitions[described.partition] ?? now
  }
  return now
}
