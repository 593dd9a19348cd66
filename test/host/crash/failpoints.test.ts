// kill -9 between every two steps, on the embedded log: half of the deaths; the other file has the others.
import t from 'tap'
import { dieAtEachStep } from './failpoints.js'
import { embedded } from './project-log.js'

t.test('a host that is killed between every two steps', { timeout: 580_000 }, async (t) => {
  await dieAtEachStep(t, embedded, { number: 0, of: 2 })
})
