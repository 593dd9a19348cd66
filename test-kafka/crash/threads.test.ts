// Threads that die in the middle of a flush, on Kafka.
import t from 'tap'
import { endThreads } from '../../test/host/crash/threads.js'
import { kafkaLog } from './kafka.js'

t.test('threads that die in the middle of a flush', { timeout: 580_000 }, async (t) => {
  await endThreads(t, await kafkaLog(t))
})
