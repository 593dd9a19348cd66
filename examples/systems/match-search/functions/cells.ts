// Who is in each cell, read by whoever searches: all in one value, so that a search reads as many keys as there are cells around it.
import { defineProcessor, json } from 'millrace'
import { goneMs, type Move, type Seen } from '../people.js'

export default defineProcessor({
  inputs: { moves: json<Move>() },
  table: json<Seen[]>(),
  outputs: { moves: json<Move>() },
  loop: json<{ user: string; seq: number; from: string }>(),
  on: {
    moves(ctx, move) {
      const { user, seq } = 'enter' in move ? move.enter : { user: move.leave, seq: move.seq }
      const there = ctx.get() ?? []
      // Back again before the cell in between has said that the user has left this one.
      if (there.some((each) => each.user === user && each.seq > seq)) return
      const isKept = (each: Seen) => each.user !== user && each.seenAt >= ctx.timestamp - goneMs
      const others = there.filter(isKept)
      const now = 'enter' in move ? [...others, move.enter] : others
      if (now.length > 0) ctx.set(now)
      else ctx.delete()
      if ('enter' in move && move.from !== undefined) {
        ctx.loopback(ctx.key, { user, seq, from: move.from })
      }
    },
  },
  // The former cell is told by way of the loop: this comes back when the view has the user here, so that at no moment there is none that has.
  // It is told in the stream where it was told "enter": records of one partition have an order, those of two have none.
  onLoop(ctx, { user, seq, from }) {
    ctx.emit('moves', from, { leave: user, seq })
  },
})
