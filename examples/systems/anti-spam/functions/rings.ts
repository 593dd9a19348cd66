// Finds who sends what others send, too: a text, under the key of its fingerprint and hour, and its senders.
import { defineProcessor, json } from 'millrace'
import type { Repeat, Signal } from '../messages.js'
import { bulkReceivers, bulkSenders, joined, type Ring } from '../ring.js'
import { hourMs } from '../verdict.js'

export default defineProcessor({
  inputs: { repeats: json<Repeat>() },
  table: json<Ring>(),
  outputs: { signals: json<Signal>() },
  on: {
    repeats(ctx, { sender, to, isFirst }) {
      let ring: Ring = ctx.get() ?? { receivers: [], waiting: [], told: 0 }
      const isBulk = ring.told > 0
      if (isBulk && !isFirst) return
      const receivers = isBulk ? [] : [...new Set([...ring.receivers, ...to])]
      const waiting = isFirst ? [...ring.waiting, sender] : ring.waiting
      ring = { ...ring, receivers, waiting }
      if (!isBulk && receivers.length < bulkReceivers && waiting.length < bulkSenders) {
        return ctx.set(ring)
      }
      ring = { ...ring, receivers: [], waiting: [] }
      for (const member of waiting) {
        const { ring: larger, ...link } = joined(ring, member)
        ring = larger
        ctx.emit('signals', member, { ring: ctx.key, at: hourOf(ctx.key), ...link })
      }
      ctx.set(ring)
    },
  },
  visitors: {
    /** Texts come and go, and each has keys of its own. */
    forget(ctx, { before }: { before: number }) {
      if (hourOf(ctx.key) < before) ctx.delete()
    },
  },
})

/** When it begins. */
const hourOf = (key: string): number => Number(key.slice(key.indexOf('/') + 1)) * hourMs
