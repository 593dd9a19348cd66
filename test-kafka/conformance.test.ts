// The log on Kafka does what every log does.
import t from 'tap'
import { logConformance } from '../test/host/log/conformance.js'
import { kafkaLog } from '../test/support/kafka/secure.js'
import { brokerAddress } from '../test/support/kafka/shared.js'

const address = await brokerAddress(t)

logConformance(t, 'kafka', async (t) => {
  // Tests write records of long ago, which are kept for ever.
  return { log: kafkaLog(t, address) }
})
t.end()
