// Counts as the first example does, in a store of one's own.
import { defineProcessor, int64, string } from 'millrace'
import { journal } from '../journal.js'

export default defineProcessor({
  inputs: { clicks: string },
  table: int64,
  store: journal,
  on: {
    clicks: (ctx) => ctx.set((ctx.get() ?? 0n) + 1n),
  },
})
