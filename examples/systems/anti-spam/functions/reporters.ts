// Weighs reports by who makes them: a user who reports many a day counts little for each, and then not at all.
import { defineProcessor, json } from 'millrace'
import { z } from 'zod'
import type { Signal } from '../messages.js'
import { dayMs } from '../verdict.js'

interface Reporter {
  day: number
  /** Whom the user has reported on that day. */
  users: string[]
}

/** Of the first three users who are reported on a day, and of the next seven. */
const weights = [3, 3, 3, 1, 1, 1, 1, 1, 1, 1]

export default defineProcessor({
  /** Under the key of who reports. */
  inputs: { reports: json(z.object({ user: z.string().min(1).max(200) })) },
  table: json<Reporter>(),
  outputs: { signals: json<Signal>() },
  on: {
    reports(ctx, { user }) {
      const before = ctx.get() ?? { day: 0, users: [] }
      // What comes late counts to the newest day.
      const day = Math.max(before.day, Math.floor(ctx.timestamp / dayMs))
      const users = day === before.day ? before.users : []
      const points = weights[users.length]
      if (user === ctx.key || users.includes(user) || points === undefined) return
      ctx.set({ day, users: [...users, user] })
      ctx.emit('signals', user, { id: `report/${ctx.key}`, at: ctx.timestamp, points })
    },
  },
})
