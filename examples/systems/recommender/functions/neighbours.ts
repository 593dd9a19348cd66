// The model, a piece of it under each item: how often it was liked, and together with what. It is learned from by each like, and
// answers with what it has learned so far.
import { defineProcessor, json } from 'millrace'
import { type Counts, count } from '../counts.js'
import type { Advice, Ask, Milestone } from '../messages.js'

interface Neighbours {
  likes: number
  /** The likes that the chart was told of. */
  told: number
  together: Counts
}

/** Neighbours of an item that are counted, and those that an answer has. */
const [kept, answered] = [200, 15]

export default defineProcessor({
  inputs: { asks: json<Ask>() },
  table: json<Neighbours>(),
  outputs: { advice: json<Advice>(), milestones: json<Milestone>() },
  on: {
    asks(ctx, { user, round, asked, isLiked, with: others }) {
      const state = ctx.get() ?? { likes: 0, told: 0, together: [] }
      if (isLiked) state.likes += 1
      for (const other of others) count(state.together, other, kept)
      // All milestones have one key. A tenth more each time: of a million likes of an item it is told of 130.
      if (state.likes * 10 >= state.told * 11 && state.likes > state.told) {
        state.told = state.likes
        ctx.emit('milestones', 'all', { item: ctx.key, likes: state.likes })
      }
      if (isLiked || others.length > 0) ctx.set(state)
      const near = state.together.slice(0, answered)
      ctx.emit('advice', user, { round, asked, item: ctx.key, likes: state.likes, near })
    },
  },
})
