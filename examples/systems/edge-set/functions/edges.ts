// The edge set: for each user and each other one, what either has done to the other, how often, and when last.
import { defineProcessor, json } from 'millrace'
import { type Edge, type Kind, sideKey } from '../edge.js'

export default defineProcessor({
  keys: sideKey,
  inputs: { sides: json<{ direction: 'sent' | 'received'; kind: Kind }>() },
  table: json<Edge>(),
  outputs: { contacts: json<{ contacts: number; mutual: number }>() },
  on: {
    sides(ctx, { direction, kind }) {
      const edge: Edge = ctx.get() ?? {}
      const isNew = edge.sent === undefined && edge.received === undefined
      const isFirst = edge[direction] === undefined
      const tally = edge[direction] ?? { view: 0, like: 0, message: 0, last: 0 }
      tally[kind] += 1
      // Records may have timestamps of their own, in any order.
      tally.last = Math.max(tally.last, ctx.timestamp)
      ctx.set({ ...edge, [direction]: tally })
      if (isFirst) ctx.emit('contacts', ctx.key.user, { contacts: +isNew, mutual: +!isNew })
    },
  },
})
