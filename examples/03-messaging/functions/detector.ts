// Blocks who sends much and receives little. What somebody receives is counted in the receiver's own turn, by way of the loop.
import { defineProcessor, json } from 'millrace'
import type { Block, Sent } from '../messages.js'

/** Below this nobody is a spammer. */
const minMessages = 5
const maxSentShare = 0.8

export default defineProcessor({
  inputs: { sent: json<Sent>() },
  table: json<{ sent: number; received: number }>(),
  loop: json<{ received: number }>(),
  outputs: { blocks: json<Block>() },
  on: {
    sent(ctx, { to }) {
      const { sent, received } = ctx.get() ?? { sent: 0, received: 0 }
      const all = sent + 1 + received
      ctx.set({ sent: sent + 1, received })
      ctx.loopback(to, { received: 1 })
      if (all >= minMessages && sent + 1 >= maxSentShare * all) {
        ctx.emit('blocks', ctx.key, { blocked: true })
      }
    },
  },
  onLoop(ctx, message) {
    const { sent, received } = ctx.get() ?? { sent: 0, received: 0 }
    ctx.set({ sent, received: received + message.received })
  },
})
