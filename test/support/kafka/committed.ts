// What a reader of committed records finds in a partition.

import type { Brokers } from '#host/log/kafka/brokers.js'
import { decodeBatches } from '#host/log/kafka/decoding.js'
import { kafkaErrors } from '#host/log/kafka/error-codes.js'
import { fetchRecords } from '#host/log/kafka/requests/fetch.js'
import type { LogRecord } from '#host/log/log.js'
import { until } from '../until.js'

/** All of them up to the end, once no transaction is open. */
export async function committedRecords(
  brokers: Brokers,
  topic: string,
  partition = 0,
): Promise<LogRecord[]> {
  const found: LogRecord[] = []
  const of = { topic, partition }
  for (let next = 0; ; ) {
    const fetched = await until(`${topic} can be read`, async () => {
      const { node, topicId } = await brokers.leader(of)
      const options = {
        maxWaitMs: 50,
        minBytes: 1,
        maxBytes: 20_000_000,
        topicIds: new Map([[topic, topicId]]),
      }
      const at = { ...of, offset: next, lastEpoch: -1, currentEpoch: -1, maxBytes: 20_000_000 }
      const { partitions } = await brokers.ask(node, fetchRecords(options, [at]))
      const [one] = partitions
      if (one?.error !== kafkaErrors.NONE) {
        brokers.forgetTopic(topic)
        return undefined
      }
      return one
    })
    if (next >= fetched.highWatermark) return found
    const decoded = decodeBatches(of, fetched.batches, next, fetched.aborted)
    found.push(...decoded.records)
    next = decoded.next
  }
}

export const committedValues = async (
  brokers: Brokers,
  topic: string,
  partition = 0,
): Promise<string[]> =>
  (await committedRecords(brokers, topic, partition)).map((record) => record.valueText())

/** Where they part, in a line; undefined: they are the same. Of tens of thousands a whole comparison is of no use to anybody. */
export function difference(
  found: readonly string[],
  expected: readonly string[],
): string | undefined {
  const at = expected.findIndex((value, i) => found[i] !== value)
  if (at < 0 && found.length === expected.length) return undefined
  const i = at < 0 ? expected.length : at
  return `at ${i} is ${found[i]}, not ${expected[i]}; of ${expected.length} there are ${found.length}`
}
