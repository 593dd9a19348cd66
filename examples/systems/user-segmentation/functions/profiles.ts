// What each user did in his last 20 events. Every fourth event it goes to a shard, to be assigned and learned from.
import { defineProcessor, json } from 'millrace'
import { z } from 'zod'
import type { Sample } from '../messages.js'
import { categories, shardOf } from '../segments.js'

interface Profile {
  events: number
  /** Indexes of categories, the newest last. */
  recent: number[]
}

const remembered = 20
const sampledEach = 4

export default defineProcessor({
  inputs: { events: json(z.object({ category: z.enum(categories) })) },
  table: json<Profile>(),
  outputs: { samples: json<Sample>() },
  on: {
    events(ctx, { category }) {
      const before = ctx.get() ?? { events: 0, recent: [] }
      const events = before.events + 1
      const recent = [...before.recent, categories.indexOf(category)].slice(-remembered)
      ctx.set({ events, recent })
      if (events % sampledEach !== 0) return
      const profile = categories.map((_, index) => recent.filter((each) => each === index).length)
      ctx.emit('samples', shardOf(ctx.key), { user: ctx.key, events, profile })
    },
  },
})
