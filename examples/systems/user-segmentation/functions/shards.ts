// Copies of the model, one under each shard's key: assigns what is sampled, and tells the model in batches what it has learned of it.
import { defineProcessor, json } from 'millrace'
import type { Assignment, Batch, ModelVersion, Sample } from '../messages.js'
import { categories, firstModel, type Model, nearestSegment } from '../segments.js'

interface Shard {
  version: number
  model: Model
  /** Not told yet. */
  samples: number
  profiles: number[][]
}

const batchSize = 16

const nothing = () => ({ samples: 0, profiles: firstModel.map(() => categories.map(() => 0)) })

export default defineProcessor({
  inputs: { samples: json<Sample>(), models: json<ModelVersion>() },
  table: json<Shard>(),
  outputs: { assignments: json<Assignment>(), batches: json<Batch>() },
  on: {
    samples(ctx, { user, events, profile }) {
      const shard = ctx.get() ?? { version: 0, model: firstModel, ...nothing() }
      const { version, model } = shard
      const segment = nearestSegment(model, profile)
      ctx.emit('assignments', user, { events, segment, version })
      const samples = shard.samples + 1
      const profiles = shard.profiles.map((sums, index) =>
        index === segment ? sums.map((sum, category) => sum + (profile[category] ?? 0)) : sums,
      )
      if (samples < batchSize) {
        ctx.set({ version, model, samples, profiles })
      } else {
        ctx.emit('batches', 'model', { shard: ctx.key, samples, profiles })
        ctx.set({ version, model, ...nothing() })
      }
    },
    models(ctx, { version, model }) {
      ctx.set({ ...(ctx.get() ?? nothing()), version, model })
    },
  },
})
