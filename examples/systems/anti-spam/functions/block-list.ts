// The verdicts, without what they were drawn from: small enough to be copied into the way of every message.
import { defineProcessor, json } from 'millrace'
import type { Verdict } from '../verdict.js'

export default defineProcessor({
  inputs: { verdicts: json<Verdict>() },
  table: json<Verdict>(),
  // Nothing is left that speaks against the user.
  tombstones: 'process',
  on: {
    verdicts(ctx, verdict) {
      if (verdict === null) ctx.delete()
      else ctx.set(verdict)
    },
  },
})
