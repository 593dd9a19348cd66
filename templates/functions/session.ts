// Gathers the records of a key into sessions: 30 minutes without one end a session, which is emitted when the next begins.
// Try: npx millrace emit visits alice '{"page":"/home"}'
import { defineProcessor, json } from 'millrace'

const gapMs = 30 * 60 * 1000

interface Session {
  from: number
  to: number
  pages: number
}

export default defineProcessor({
  inputs: { visits: json<{ page: string }>() },
  table: json<Session>(),
  outputs: { sessions: json<Session>() },
  on: {
    visits(ctx) {
      const open = ctx.get()
      const time = ctx.timestamp
      if (open !== undefined && time - open.to <= gapMs) {
        ctx.set({ from: open.from, to: Math.max(open.to, time), pages: open.pages + 1 })
        return
      }
      if (open !== undefined) ctx.emit('sessions', ctx.key, open)
      ctx.set({ from: time, to: time, pages: 1 })
    },
  },
})
