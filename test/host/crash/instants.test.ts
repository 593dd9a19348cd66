// kill -9 at random instants, on the embedded log.
import t from 'tap'
import { dieAtInstants } from './instants.js'
import { embedded } from './project-log.js'

t.test('a host that is killed at random instants', { timeout: 580_000 }, async (t) => {
  await dieAtInstants(t, embedded, { kills: 50, maxLifeMs: 400 })
})
