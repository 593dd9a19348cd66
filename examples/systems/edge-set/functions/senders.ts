// Takes each interaction once, however often it is sent, and hands it to both sides.
import { defineProcessor, json, keyed } from 'millrace'
import { z } from 'zod'
import { type Kind, kinds, sideKey } from '../edge.js'

/** Under the key of the user who acts. */
const interaction = z.object({
  /** Chosen by the app, which sends the same again when it got no answer. */
  id: z.string().min(1).max(40),
  to: z
    .string()
    .min(1)
    .max(200)
    .regex(/^\P{Surrogate}*$/u, 'half of a surrogate pair: no key has that'),
  kind: z.enum(kinds),
})

/** So many of a user's latest ids are known; a repetition that comes after more than these counts again. */
const remembered = 32

export default defineProcessor({
  inputs: { interactions: json(interaction) },
  table: json<{ recent: string[] }>(),
  outputs: { sides: keyed(sideKey, json<{ direction: 'sent' | 'received'; kind: Kind }>()) },
  on: {
    interactions(ctx, { id, to, kind }) {
      const { recent } = ctx.get() ?? { recent: [] }
      if (to === ctx.key || recent.includes(id)) return
      ctx.set({ recent: [...recent, id].slice(-remembered) })
      // Both or neither: outputs and table leave together.
      const user = ctx.key
      ctx.emit('sides', { user, other: to }, { direction: 'sent', kind })
      ctx.emit('sides', { user: to, other: user }, { direction: 'received', kind })
    },
  },
})
