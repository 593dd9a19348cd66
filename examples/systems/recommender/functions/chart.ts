// What is liked most, for those of whom nothing is known; all of it under the key `all`.
import { defineProcessor, json } from 'millrace'
import { type Counts, largest } from '../counts.js'
import type { Milestone } from '../messages.js'

const shown = 50

export default defineProcessor({
  inputs: { milestones: json<Milestone>() },
  table: json<Counts>(),
  on: {
    milestones(ctx, { item, likes }) {
      const others = (ctx.get() ?? []).filter(([other]) => other !== item)
      // Likes of an item only grow: what falls off comes back with its next milestone, if it is large enough then.
      ctx.set(largest([...others, [item, likes]], shown))
    },
  },
})
