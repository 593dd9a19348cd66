// The model itself, all of it under the key `model`: adds up what shards have learned, and sends them what comes of it.
import { defineProcessor, json } from 'millrace'
import type { Batch, ModelVersion } from '../messages.js'
import { firstModel, type Model, shardNames } from '../segments.js'

interface Learned {
  version: number
  model: Model
  batches: number
  samples: number
  /** For each segment the events of all that was assigned to it, by category. */
  events: number[][]
}

/** Events that the first model weighs. */
const prior = 200
/** A segment with more events forgets half of them, so that the model follows its users. */
const mostEvents = 8_000

export default defineProcessor({
  inputs: { batches: json<Batch>() },
  table: json<Learned>(),
  outputs: { models: json<ModelVersion>() },
  on: {
    batches(ctx, batch) {
      const before = ctx.get() ?? {
        version: 0,
        model: firstModel,
        batches: 0,
        samples: 0,
        events: firstModel.map((shares) => shares.map((share) => share * prior)),
      }
      const batches = before.batches + 1
      const events = before.events.map((sums, segment) =>
        faded(sums.map((sum, category) => sum + (batch.profiles[segment]?.[category] ?? 0))),
      )
      const learned = { ...before, batches, samples: before.samples + batch.samples, events }
      // Each version goes to all shards: no more often than each of them has something to tell.
      if (batches % shardNames.length !== 0) return ctx.set(learned)
      const version = before.version + 1
      const model = events.map((sums) => sums.map((sum) => sum / total(sums)))
      ctx.set({ ...learned, version, model })
      for (const shard of shardNames) ctx.emit('models', shard, { version, model })
    },
  },
})

const total = (sums: readonly number[]): number => sums.reduce((sum, each) => sum + each, 0)

const faded = (sums: number[]): number[] =>
  total(sums) > mostEvents ? sums.map((sum) => sum / 2) : sums
