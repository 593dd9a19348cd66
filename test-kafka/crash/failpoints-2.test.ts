// kill -9 between every two steps, on Kafka: every second death, so that two files share them.
import t from 'tap'
import { dieAtEachStep } from '../../test/host/crash/failpoints.js'
import { kafkaLog } from './kafka.js'

t.test('a host that is killed between every two steps', { timeout: 580_000 }, async (t) => {
  await dieAtEachStep(t, await kafkaLog(t), { number: 1, of: 2 })
})
