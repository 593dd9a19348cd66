// Who is blocked, as the last word about it has it: a person's or the detector's.
import { defineProcessor, json } from 'millrace'
import type { Block } from '../messages.js'

export default defineProcessor({
  inputs: { blocks: json<Block>() },
  table: json<Block>(),
  on: {
    blocks: (ctx, block) => ctx.set(block),
  },
})
