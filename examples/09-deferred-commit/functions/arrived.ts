// On the other host: the last note of each key, and how many there were. What comes again, because its sender has died before it knew
// that it had arrived, is known by its offset.
import { defineProcessor, json } from 'millrace'

export default defineProcessor({
  inputs: { forwarded: json<{ text: string; offset: number }>() },
  table: json<{ notes: number; last: string; offset: number }>(),
  on: {
    forwarded(ctx, { text, offset }) {
      const before = ctx.get() ?? { notes: 0, offset: -1 }
      if (offset <= before.offset) return
      ctx.set({ notes: before.notes + 1, last: text, offset })
    },
  },
})
