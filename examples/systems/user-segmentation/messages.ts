// What the functions say to each other. A profile is a number of events for each category.
import type { Model } from './segments.js'

/** To a shard: what a user did lately. */
export interface Sample {
  user: string
  /** The user's events so far. */
  events: number
  profile: number[]
}

/** To a user, who is the key: the segment that is nearest to a sample, by a version of the model. */
export interface Assignment {
  events: number
  segment: number
  version: number
}

/** To the model: what a shard has learned, the profiles of its last samples added up by segment. */
export interface Batch {
  shard: string
  samples: number
  profiles: number[][]
}

/** To each shard. */
export interface ModelVersion {
  version: number
  model: Model
}

export interface Change {
  /** null: the first. */
  from: number | null
  to: number
  version: number
}
