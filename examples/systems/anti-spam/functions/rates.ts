// Finds who sends too fast: counts a sender's messages of each minute.
import { defineProcessor, json } from 'millrace'
import { post, type Signal } from '../messages.js'
import { minuteMs } from '../verdict.js'

/** Messages of one minute that are too many. */
const limit = 20
const points = 6

export default defineProcessor({
  inputs: { messages: json(post) },
  /** The newest minute, and the one before: an app may send late. */
  table: json<{ minute: number; messages: number }[]>(),
  outputs: { signals: json<Signal>() },
  on: {
    messages(ctx) {
      const minute = Math.floor(ctx.timestamp / minuteMs)
      const before = ctx.get() ?? []
      const newest = Math.max(minute, ...before.map((each) => each.minute))
      if (minute < newest - 1) return
      const messages = 1 + (before.find((each) => each.minute === minute)?.messages ?? 0)
      const others = before.filter((each) => each.minute !== minute && each.minute >= newest - 1)
      ctx.set([...others, { minute, messages }])
      // Once for each minute.
      if (messages !== limit) return
      ctx.emit('signals', ctx.key, { id: `rate/${minute}`, at: minute * minuteMs, points })
    },
  },
})
