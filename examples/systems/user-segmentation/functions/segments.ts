// The segment of each user. It changes when the same other segment was nearest twice in a row, and each change is told.
import { defineProcessor, json } from 'millrace'
import type { Assignment, Change } from '../messages.js'

interface Membership {
  segment: number
  /** How often it has changed. */
  changes: number
  /** The nearest one last time, if it was another. */
  candidate?: number
}

export default defineProcessor({
  inputs: { assignments: json<Assignment>() },
  table: json<Membership>(),
  outputs: { changes: json<Change>() },
  on: {
    assignments(ctx, { segment, version }) {
      const before = ctx.get()
      if (before === undefined) {
        ctx.set({ segment, changes: 0 })
        ctx.emit('changes', ctx.key, { from: null, to: segment, version })
      } else if (segment === before.segment) {
        ctx.set({ segment, changes: before.changes })
      } else if (segment !== before.candidate) {
        ctx.set({ ...before, candidate: segment })
      } else {
        ctx.set({ segment, changes: before.changes + 1 })
        ctx.emit('changes', ctx.key, { from: before.segment, to: segment, version })
      }
    },
  },
})
