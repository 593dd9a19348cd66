// kill -9 at random instants, on Kafka.
import t from 'tap'
import { dieAtInstants } from '../../test/host/crash/instants.js'
import { kafkaLog } from './kafka.js'

t.test('a host that is killed at random instants', { timeout: 580_000 }, async (t) => {
  await dieAtInstants(t, await kafkaLog(t), { kills: 6, maxLifeMs: 1_000 })
})
