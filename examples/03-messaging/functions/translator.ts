// What a word is to be replaced by. A tombstone takes it back.
import { defineProcessor, string } from 'millrace'

export default defineProcessor({
  inputs: { translations: string },
  table: string,
  tombstones: 'process',
  on: {
    translations: (ctx, by) => (by === null ? ctx.delete() : ctx.set(by)),
  },
})
