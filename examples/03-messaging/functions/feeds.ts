// The latest five messages that a user has received.
import { defineProcessor, json } from 'millrace'
import type { Received } from '../messages.js'

export default defineProcessor({
  inputs: { received: json<Received>() },
  table: json<Received[]>(),
  on: {
    received: (ctx, message) => ctx.set([...(ctx.get() ?? []), message].slice(-5)),
  },
})
