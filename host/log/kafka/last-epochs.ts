// The leader epochs of the last records that a transaction has written: brokers do not tell with what they have taken it.
import { settlesWithin } from '../../within.js'
import type { Brokers } from './brokers.js'
import { kafkaErrors } from './error-codes.js'
import type { Lane } from './lane.js'
import { offsetForLeaderEpoch } from './requests/offset-for-leader-epoch.js'

const limitMs = 2_000

/** Of lanes that are done, by their keys. The brokers have been asked for their topics since they were sent. */
export async function lastEpochs(
  brokers: Brokers,
  lanes: readonly Lane[],
): Promise<ReadonlyMap<string, number>> {
  const found = await Promise.all(
    lanes.map(async (lane): Promise<[string, number]> => {
      // One that is too low has a table rebuilt some time, of which nothing was lost.
      let { leaderEpoch } = lane
      const asked = epochOf(brokers, lane).then((found) => {
        leaderEpoch = found
      })
      // All of it is written: nobody waits for long for what is only told of it.
      await settlesWithin(asked, limitMs)
      return [lane.key, leaderEpoch]
    }),
  )
  return new Map(found)
}

/** A leader's epoch may rise while it leads. */
async function epochOf(brokers: Brokers, lane: Lane): Promise<number> {
  let low = lane.leaderEpoch
  let high = (await brokers.leader(lane)).leaderEpoch
  const { topic, partition, next } = lane
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const asked = [{ topic, partition, leaderEpoch: middle }]
    const [answer] = await brokers.askLeaders(asked, offsetForLeaderEpoch)
    if (answer?.error !== kafkaErrors.NONE) return lane.leaderEpoch
    // It knows none so early.
    if (answer.end < 0 || answer.end >= next) high = middle
    else low = middle + 1
  }
  return low
}
