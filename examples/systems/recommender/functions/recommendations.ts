// What each user may like next: the answers of all items that were asked in one round, added up.
import { defineProcessor, json } from 'millrace'
import { type Counts, largest } from '../counts.js'
import type { Advice } from '../messages.js'

interface Recommendations {
  round: number
  /** The best first; while answers are missing, those of an earlier round. */
  items: { item: string; score: number }[]
  /** Of a round whose answers are not all there. */
  pending?: { missing: number; liked: string[]; scores: Counts }
}

const shown = 10
/** Added to the likes of an item: what was seen few times says little. */
const doubt = 10
/** Scores are added up in millionths, as whole numbers: a sum of fractions depends on the order in which they come. */
const millionths = 1_000_000

export default defineProcessor({
  inputs: { advice: json<Advice>() },
  table: json<Recommendations>(),
  on: {
    advice(ctx, { round, asked, item, likes, near }) {
      const before = ctx.get() ?? { round: 0, items: [] }
      // Answers come from many partitions: one to an earlier round may come later.
      if (round < before.round) return
      const begun = round === before.round ? before.pending : undefined
      const missing = (begun?.missing ?? asked) - 1
      const liked = [...(begun?.liked ?? []), item]
      const scores = new Map(begun?.scores)
      for (const [other, together] of near) {
        const share = Math.round((millionths * together) / (likes + doubt))
        scores.set(other, (scores.get(other) ?? 0) + share)
      }
      // Each answer comes exactly once, so that counting them is enough.
      if (missing === 0) ctx.set({ round, items: best(scores, liked) })
      else ctx.set({ round, items: before.items, pending: { missing, liked, scores: [...scores] } })
    },
  },
})

function best(scores: ReadonlyMap<string, number>, liked: string[]): Recommendations['items'] {
  const candidates = [...scores].filter(([item]) => !liked.includes(item))
  return largest(candidates, shown).map(([item, score]) => ({ item, score: score / millionths }))
}
