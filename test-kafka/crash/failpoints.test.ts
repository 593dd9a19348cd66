// kill -9 between every two steps, on Kafka: a sixth of the deaths in each run; CRASH_POINTS=all for all of them.
import t from 'tap'
import { dieAtEachStep } from '../../test/host/crash/failpoints.js'
import { kafkaLog } from './kafka.js'

const parts = process.env.CRASH_POINTS === 'all' ? 1 : 6
const part = { number: Math.floor(Math.random() * parts), of: parts }

t.test('a host that is killed between every two steps', { timeout: 1_200_000 }, async (t) => {
  t.comment(`part ${part.number} of ${part.of}`)
  await dieAtEachStep(t, await kafkaLog(t), part)
})
