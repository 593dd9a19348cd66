// The way of every message: on to its receiver, or withheld, by the verdict on its sender.
import { defineProcessor, json } from 'millrace'
import { post } from '../messages.js'
import type { Verdict } from '../verdict.js'

export default defineProcessor({
  inputs: { messages: json(post) },
  joins: { 'block-list': json<Verdict>() },
  /** Of each sender. */
  table: json<{ delivered: number; withheld: number }>(),
  outputs: {
    /** Under the key of the receiver. */
    deliveries: json<{ from: string; text: string; isSuspect: boolean }>(),
    /** Under that of the sender. */
    withheld: json<{ to: string; verdict: Verdict }>(),
  },
  on: {
    messages(ctx, { to, text }) {
      const { delivered, withheld } = ctx.get() ?? { delivered: 0, withheld: 0 }
      const known = ctx.join('block-list')
      const verdict = known && ctx.timestamp < known.until ? known : undefined
      if (verdict === undefined || verdict.level === 'warned') {
        ctx.set({ delivered: delivered + 1, withheld })
        ctx.emit('deliveries', to, { from: ctx.key, text, isSuspect: verdict !== undefined })
      } else {
        ctx.set({ delivered, withheld: withheld + 1 })
        ctx.emit('withheld', ctx.key, { to, verdict })
      }
    },
  },
})
