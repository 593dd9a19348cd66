// What each user has liked last. A like is told to the items that it brings together; a visit asks them, and teaches nothing.
import { defineProcessor, json } from 'millrace'
import type { Ask } from '../messages.js'

interface History {
  round: number
  /** The newest first. */
  items: string[]
}

/** Likes of a user that count; older ones are forgotten. Each like costs a message to this many items, and their answers. */
const remembered = 6

export default defineProcessor({
  inputs: { likes: json<{ item: string }>(), visits: json<Record<never, never>>() },
  table: json<History>(),
  outputs: { asks: json<Ask>() },
  on: {
    likes(ctx, { item }) {
      const before = ctx.get() ?? { round: 0, items: [] }
      // Who says it twice does not like it twice.
      if (before.items.includes(item)) return
      const older = before.items.slice(0, remembered - 1)
      const round = before.round + 1
      ctx.set({ round, items: [item, ...older] })
      const ask = { user: ctx.key, round, asked: older.length + 1 }
      ctx.emit('asks', item, { ...ask, isLiked: true, with: older })
      for (const each of older) ctx.emit('asks', each, { ...ask, isLiked: false, with: [item] })
    },
    visits(ctx) {
      const before = ctx.get()
      if (before === undefined) return
      const { items } = before
      const round = before.round + 1
      ctx.set({ round, items })
      const ask = { user: ctx.key, round, asked: items.length, isLiked: false, with: [] }
      for (const item of items) ctx.emit('asks', item, ask)
    },
  },
})
