// What the embedded log holds, by name: for those who take all of it elsewhere.
import type { Log, TopicSpec } from '../log.js'

export interface LogContents {
  /** As they were made. */
  readonly topics: readonly TopicSpec[]
  /** Those that have a position in one of the topics. */
  readonly groups: readonly string[]
}

/** The log as its owner has it. */
export interface OwnedLog extends Log {
  contents(): Promise<LogContents>
}
