// Topics that are known to be there, by a log that may not have heard of each of them yet.
import type { TopicInfo } from './log.js'

export interface HearingTimes {
  /** Milliseconds, monotonic. */
  now(): number
  /** Ends early when nobody waits any more. */
  rest(ms: number): Promise<void>
}

/**
 * A broker of Kafka hears of a topic some time after it was made, and says until then that there is none. One that is further behind than
 * its session (`broker.session.timeout.ms`, 9 s) is not of the cluster any more.
 */
const heardMs = 10_000
const stepMs = 50
const maxStepMs = 1_000

/** As `describe` tells, which is asked again while one of them is missing, for a while; then without it. */
export async function heardOf(
  names: readonly string[],
  describe: (names: readonly string[]) => Promise<ReadonlyMap<string, TopicInfo>>,
  { now, rest }: HearingTimes,
): Promise<ReadonlyMap<string, TopicInfo>> {
  let since: number | undefined
  for (let pauseMs = stepMs; ; pauseMs = Math.min(pauseMs * 2, maxStepMs)) {
    // However long an answer takes: of what was so before, it says no more than a quick one.
    const isLast = since !== undefined && now() - since >= heardMs
    const found = await describe(names)
    if (isLast || names.every((name) => found.has(name))) return found
    since ??= now()
    await rest(pauseMs)
  }
}
