// Functions that read each other's tables, on Kafka.
import t from 'tap'
import { readEachOther } from '../test/support/joined.js'
import { brokerAddress, ownName } from '../test/support/kafka/shared.js'

const address = await brokerAddress(t)

t.test('joins and lookups', async (t) => {
  await readEachOther(t, {
    MILLRACE_LOG_BROKERS: address,
    MILLRACE_NAMESPACE: `${ownName('joins')}-`,
    MILLRACE_LOG_PARTITIONS: '3',
  })
})
