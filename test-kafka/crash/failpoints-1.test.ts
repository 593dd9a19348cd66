// kill -9 between every two steps, on Kafka: a half of the deaths, shared with another file; CRASH_POINTS=all for all of them.
import t from 'tap'
import { dieAtEachStep } from '../../test/host/crash/failpoints.js'
import { kafkaLog } from './kafka.js'

const half = Math.random() < 0.5 ? 0 : 2
const part = process.env.CRASH_POINTS === 'all' ? { number: 0, of: 2 } : { number: 0 + half, of: 4 }

t.test('a host that is killed between every two steps', { timeout: 580_000 }, async (t) => {
  t.comment(`part ${part.number} of ${part.of}`)
  await dieAtEachStep(t, await kafkaLog(t), part)
})
