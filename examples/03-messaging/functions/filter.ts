// Passes messages on to who they are for: none of a sender who is blocked, and with words translated.
import { defineProcessor, json, string } from 'millrace'
import type { Block, Received, Sent } from '../messages.js'

export default defineProcessor({
  inputs: { sent: json<Sent>() },
  joins: { blocker: json<Block>() },
  lookups: { translator: string },
  outputs: { received: json<Received>() },
  on: {
    sent(ctx, { to, content }) {
      if (ctx.join('blocker')?.blocked) return
      const words = content.split(' ').map((word) => ctx.lookup('translator', word) ?? word)
      ctx.emit('received', to, { from: ctx.key, content: words.join(' ') })
    },
  },
})
