// kill -9 between every two steps, on the embedded log: the other half.
import t from 'tap'
import { dieAtEachStep } from './failpoints.js'
import { embedded } from './project-log.js'

t.test('a host that is killed between every two steps', { timeout: 580_000 }, async (t) => {
  await dieAtEachStep(t, embedded, { number: 1, of: 2 })
})
