// kill -9 at random instants, on the embedded log.
import t from 'tap'
import { dieAtInstants } from './instants.js'
import { embedded } from './project-log.js'

t.test('a host that is killed at random instants', { timeout: 580_000 }, async (t) => {
  await dieAtInstants(t, embedded, { kills: 30, maxLifeMs: 400 })
})

t.test(
  'with tables in memory, and in stores of the user’s own',
  { timeout: 580_000 },
  async (t) => {
    const stores = {
      totals: 'journal',
      receipts: 'journal',
      pending: 'journal',
      slow: 'memory',
    } as const
    await dieAtInstants(t, embedded, { kills: 12, maxLifeMs: 400, stores })
  },
)
